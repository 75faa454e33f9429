"""Decides: an event in, effects out. No clock, no I/O, no randomness of its own."""

from heterosis.scheduling.core import Scheduler
from heterosis.scheduling.effects import (
    DropCall,
    Effect,
    Refusal,
    RefuseRequest,
    RunBatch,
    SetPowerMode,
    SetTimer,
    SkipCalls,
    SplitCall,
    StartInstance,
    StopInstance,
)
from heterosis.scheduling.events import (
    BatchDone,
    CallReady,
    Event,
    InstanceDown,
    InstanceReady,
    PlanChanged,
    RequestArrived,
    RequestEnded,
    TimerFired,
)
from heterosis.scheduling.story import Record, changes, story
from heterosis.scheduling.validation import validate

__all__ = [
    "BatchDone",
    "CallReady",
    "DropCall",
    "Effect",
    "Event",
    "InstanceDown",
    "InstanceReady",
    "PlanChanged",
    "Record",
    "Refusal",
    "RefuseRequest",
    "RequestArrived",
    "RequestEnded",
    "RunBatch",
    "Scheduler",
    "SetPowerMode",
    "SetTimer",
    "SkipCalls",
    "SplitCall",
    "StartInstance",
    "StopInstance",
    "TimerFired",
    "changes",
    "story",
    "validate",
]

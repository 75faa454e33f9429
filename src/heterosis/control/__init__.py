"""The closed loop: watches what a scheduler does, and keeps its plan fit for that. Pure, like what it steers.

`Controller` is told every step of the scheduler and answers with plans to put in force and questions to a planner;
`Telemetry` is what it knows of load, service and devices, `Account` what a fleet has drawn.
"""

from heterosis.control.account import Account
from heterosis.control.acts import Act, Ask, Measure, PutInForce
from heterosis.control.controller import Controller
from heterosis.control.decisions import Decisions, Noted
from heterosis.control.questions import MakePlan, NoPlanError, Proposal, Question, respond
from heterosis.control.settings import Settings
from heterosis.control.steering import Steering
from heterosis.control.telemetry import Telemetry

__all__ = [
    "Account",
    "Act",
    "Ask",
    "Controller",
    "Decisions",
    "MakePlan",
    "Measure",
    "NoPlanError",
    "Noted",
    "Proposal",
    "PutInForce",
    "Question",
    "Settings",
    "Steering",
    "Telemetry",
    "respond",
]

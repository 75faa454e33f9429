"""The legal states of calls and instances, and the tables of their transitions. An absent pair is an error."""

from enum import StrEnum


class CallState(StrEnum):
    """A call waits centrally until a policy assigns it to an instance (late binding)."""

    __hash__ = str.__hash__  # an enum's own is a Python function, and transitions are looked up at every step

    WAITING = "waiting"
    ASSIGNED = "assigned"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"
    SPLIT = "split"


class InstanceState(StrEnum):
    """An instance starts (process, load, warm-up), is ready, drains when no longer planned, and is down in the end."""

    __hash__ = str.__hash__

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    DOWN = "down"


CALL_TRANSITIONS: dict[tuple[CallState, CallState], str] = {
    (CallState.WAITING, CallState.ASSIGNED): "a policy chose an instance",
    (CallState.WAITING, CallState.DROPPED): "late, refused, or its request ended",
    (CallState.WAITING, CallState.SPLIT): "a policy split it into parts, which wait in its stead",
    (CallState.ASSIGNED, CallState.DONE): "its batch is done",
    (CallState.ASSIGNED, CallState.FAILED): "the stage raised on it",
    (CallState.ASSIGNED, CallState.WAITING): "its instance went down",
    (CallState.ASSIGNED, CallState.DROPPED): "its instance went down, and it is poison or its request ended",
}

INSTANCE_TRANSITIONS: dict[tuple[InstanceState, InstanceState], str] = {
    (InstanceState.STARTING, InstanceState.READY): "loaded and warm",
    (InstanceState.STARTING, InstanceState.STOPPING): "no longer planned",
    (InstanceState.STARTING, InstanceState.DOWN): "died while loading",
    (InstanceState.READY, InstanceState.DRAINING): "no longer planned, still holds a batch",
    (InstanceState.READY, InstanceState.STOPPING): "no longer planned",
    (InstanceState.READY, InstanceState.DOWN): "died",
    (InstanceState.DRAINING, InstanceState.READY): "planned again",
    (InstanceState.DRAINING, InstanceState.STOPPING): "holds no batch any more",
    (InstanceState.DRAINING, InstanceState.DOWN): "died",
    (InstanceState.STOPPING, InstanceState.DOWN): "stopped",
    (InstanceState.DOWN, InstanceState.STARTING): "restarted",
}


class IllegalTransitionError(AssertionError):
    """The driver sent an event that cannot be, or the core is wrong: a defect, never a user's fault."""

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


WAITING, ASSIGNED, DONE, FAILED, DROPPED, SPLIT = CallState
"""As names of their own: looking one up in an enum costs more than the transition that it is for."""


class InstanceState(StrEnum):
    """An instance starts (process, load, warm-up), is ready, drains when no longer planned, and is down in the end."""

    __hash__ = str.__hash__

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    DOWN = "down"


STARTING, READY, DRAINING, STOPPING, DOWN = InstanceState


CALL_TRANSITIONS: dict[tuple[CallState, CallState], str] = {
    (WAITING, ASSIGNED): "a policy chose an instance",
    (WAITING, DROPPED): "late, refused, or its request ended",
    (WAITING, SPLIT): "a policy split it into parts, which wait in its stead",
    (ASSIGNED, DONE): "its batch is done",
    (ASSIGNED, FAILED): "the stage raised on it",
    (ASSIGNED, WAITING): "its instance went down",
    (ASSIGNED, DROPPED): "its instance went down, and it is poison or its request ended",
}

INSTANCE_TRANSITIONS: dict[tuple[InstanceState, InstanceState], str] = {
    (STARTING, READY): "loaded and warm",
    (STARTING, STOPPING): "no longer planned",
    (STARTING, DOWN): "died while loading",
    (READY, DRAINING): "no longer planned, still holds a batch",
    (READY, STOPPING): "no longer planned",
    (READY, DOWN): "died",
    (DRAINING, READY): "planned again",
    (DRAINING, STOPPING): "holds no batch any more",
    (DRAINING, DOWN): "died",
    (STOPPING, DOWN): "stopped",
    (DOWN, STARTING): "restarted",
}


class IllegalTransitionError(AssertionError):
    """The driver sent an event that cannot be, or the core is wrong: a defect, never a user's fault."""

"""Requests and the calls they are made of."""

import msgspec

DEFAULT_CLASS = "default"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One client query to a pipeline. Times are absolute, in monotonic seconds."""

    id: str
    pipeline: str
    arrival: float
    deadline: float
    request_class: str = DEFAULT_CLASS
    size: int = 1
    divisible: bool = False
    """Whether the items of its calls may run apart."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation of a stage for one request."""

    id: str
    request: str
    stage: str
    size: int = 1

"""What routers and workers say to each other: a header, then the frames of the values that it carries."""

import msgspec

from heterosis.terms import Variant


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Worker: I was started as this instance, in this process; the token proves it.

    ``shares`` says whether it can read the memory that the router shares.
    """

    instance: str
    token: str
    pid: int
    shares: bool = False


class Assignment(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Router: load this. The frames hold one value: a list of batches of calls' arguments to warm up on."""

    pipeline: str
    stage: str
    variant: Variant
    threads: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Worker: loaded and warm."""

    load_ms: float
    warm_up_ms: float


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Router: run this batch. ``sizes`` are the numbers of frames that hold the arguments of each call.

    ``kind`` is the number that others like it go by (`transport.repeats`), if they do.
    """

    batch: int
    sizes: tuple[int, ...]
    kind: int = 0


class Skip(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Router: nobody waits for the calls at these places of a batch; leave them out, unless it is under way.

    It has no answer of its own.
    """

    batch: int
    places: tuple[int, ...]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Worker: the batch is run. ``sizes`` are as in `Run`, of the results; a failed call has 0 and its error.

    So has one that was left out, as it was told: its place is among ``skipped``. ``kind`` is as in `Run`.
    """

    batch: int
    run_ms: float
    sizes: tuple[int, ...]
    errors: dict[int, str] = {}
    skipped: tuple[int, ...] = ()
    kind: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Worker: I cannot load, for this reason; let me be ended."""

    reason: str


FromWorker = Hello | Ready | Done | Failed
FromRouter = Assignment | Run | Skip

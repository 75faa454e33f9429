"""Models with published figures: how accurate they are, and what they take where."""

import functools

import msgspec

from heterosis.catalogue.records import Source, nearest, read
from heterosis.terms import DEFAULT_MODE
from heterosis.terms.errors import UsageError

KEPT = 0.98
"""Share of the reference's accuracy that a variant without a figure is taken to keep."""


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Percentiles of a batch's time over its mean."""

    p50: float
    p95: float
    p99: float


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model, with the accuracy (0..1, by its own metric) of the fp32 reference and of int8 variants by engine."""

    metric: str
    reference: float
    spread: Spread
    size_bytes: int
    source: str
    accuracy: dict[str, float] = {}
    note: str = ""

    def accuracy_with(self, engine: str, precision: str) -> float:
        """Accuracy of a variant, `KEPT` of the reference's where nobody published it."""
        return self.reference if precision == "fp32" else self.accuracy.get(engine, KEPT * self.reference)


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published figures of a model on a type in a mode; the head of ``models.toml`` says what each of them is."""

    type: str
    mode: str
    model: str
    source: str
    single_ms: float | None = None
    single_p90_ms: float | None = None
    single_j: float | None = None
    multi_ms: float | None = None
    multi_p90_ms: float | None = None
    multi_j: float | None = None
    offline_per_s: float | None = None
    offline_j: float | None = None
    dynamic_w: float | None = None
    published_w: bool = False
    power_of: str | None = None
    joules_of: str | None = None
    threads: int = 1
    precision: str = "int8"
    note: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A type in a mode."""

    type: str
    mode: str = DEFAULT_MODE


class Scaled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model without figures on a type: taken from another type, by the ratio that a second model has there."""

    type: str
    mode: str
    model: str
    of: Place
    by: str
    threads: int = 1
    precision: str = "int8"


class _Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, Source]
    model: dict[str, Model]
    point: tuple[Point, ...]
    scaled: tuple[Scaled, ...]


@functools.cache
def models() -> _Models:
    """Read the catalogue's models."""
    return read("models.toml", _Models)


def find_model(name: str) -> Model:
    """Find a model by its name. Raise UsageError, with the nearest names, where the catalogue has none such."""
    found = models().model.get(name)
    if found is None:
        raise UsageError(f"the catalogue has no model {name!r}; {nearest(name, list(models().model))}")
    return found

"""Device types side by side: what they are, and what they make of a model."""

from collections.abc import Collection, Sequence

import msgspec

from heterosis.catalogue.curves import EIGHT, Curve, curves
from heterosis.catalogue.models import find_model
from heterosis.catalogue.pipelines import BATCHES
from heterosis.catalogue.records import Origin, Source
from heterosis.catalogue.types import TypeEntry, find_entry, types


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of a model, with every slot of the device running one like it."""

    size: int
    latency_ms: float
    """Mean time of the batch."""
    throughput_per_s: float
    """Items of all slots together."""
    dynamic_j: float
    """Joules of one item above idle."""
    total_j: float
    """Joules of one item, its share of idle power included."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a device type in a power mode."""

    type: str
    mode: str
    model: str
    variant: str
    threads: int
    accuracy: float
    metric: str
    batches: tuple[Batch, ...]
    quality: Origin
    source: str
    purchase_price: float | None = None
    price_per_hour: float | None = None
    best: bool = False
    """Whether no other row of the model beats it: see `unbeaten`."""

    @property
    def place(self) -> str:
        """Type, mode and threads for people, as far as there is a choice."""
        mode = "" if self.mode == "default" else f" {self.mode}"
        threads = f" {self.threads} threads" if self.threads > 1 else ""
        return f"{self.type}{mode}{threads}"

    def of(self, size: int) -> Batch:
        """Return the largest batch up to this size."""
        return [batch for batch in self.batches if batch.size <= size][-1]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Types, rows of models on them, and the sources that the types name."""

    types: tuple[TypeEntry, ...]
    rows: tuple[Row, ...]
    sources: dict[str, Source]


def compare(names: Sequence[str] = (), model: str | None = None) -> Comparison:
    """Return the types of these names, or all, and what they make of a model, or of all of them.

    With a model, types without figures of it are left out. Raise UsageError where the catalogue has no such name.
    """
    chosen = [find_entry(name) for name in names] or list(types().type)
    if model is not None:
        find_model(model)
    wanted = {entry.name for entry in chosen}
    rows = unbeaten([_row(curve) for curve in curves() if curve.type in wanted and model in {None, curve.model}])
    if model is not None:
        able = {row.type for row in rows}
        chosen = [entry for entry in chosen if entry.name in able]
    named = {source for entry in chosen for source in entry.sources}
    sources = {name: source for name, source in types().sources.items() if name in named}
    return Comparison(types=tuple(chosen), rows=rows, sources=sources)


def pareto(points: Collection[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points to which no other is as small in both coordinates, by the first."""
    front: list[tuple[float, float]] = []
    for point in sorted(set(points)):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def unbeaten(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark the rows that no other of the same model is at least as good as in everything, and better in something.

    What counts: the time of one item alone, joules of an item in batches of eight, accuracy, and prices. A price that
    is not known of both says nothing for or against either.
    """
    return tuple(
        msgspec.structs.replace(row, best=not any(_beats(other, row) for other in rows if other.model == row.model))
        for row in rows
    )


def _beats(one: Row, other: Row) -> bool:
    pairs = [
        (one.of(1).latency_ms, other.of(1).latency_ms),
        (one.of(EIGHT).total_j, other.of(EIGHT).total_j),
        (-one.accuracy, -other.accuracy),
        (one.purchase_price, other.purchase_price),
        (one.price_per_hour, other.price_per_hour),
    ]
    known = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    return all(mine <= theirs for mine, theirs in known) and any(mine < theirs for mine, theirs in known)


def _row(curve: Curve) -> Row:
    entry = find_entry(curve.type)
    idle_w, abreast = entry.power_mode(curve.mode).idle_w, entry.slots // curve.threads
    batches = []
    for size in BATCHES:
        if size <= max(entry.max_batch, EIGHT):
            ms, dynamic_j = curve.ms.at(size), curve.joules.at(size) / size
            per_s = abreast * size / ms * 1e3
            batches.append(
                Batch(
                    size=size,
                    latency_ms=ms,
                    throughput_per_s=per_s,
                    dynamic_j=dynamic_j,
                    total_j=dynamic_j + idle_w / per_s,
                )
            )
    return Row(
        type=curve.type,
        mode=curve.mode,
        model=curve.model,
        variant=curve.variant,
        threads=curve.threads,
        accuracy=curve.accuracy,
        metric=find_model(curve.model).metric,
        batches=tuple(batches),
        quality=curve.quality,
        source=curve.source,
        purchase_price=entry.purchase_price,
        price_per_hour=entry.price_per_hour,
    )

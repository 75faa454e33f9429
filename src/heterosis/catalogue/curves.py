"""How long a batch takes by its size, and its joules: straight lines through what was published.

The rules, in the order of need:

- A mean is 0.99 of the 90th percentile where only that is published (models whose inputs are all alike; MLPerf logs
  with both have 0.98 to 0.997).
- The line goes through one item alone and a batch of eight (MultiStream). Where that is missing, each further item
  takes the time of one in Offline. On Jetsons, Offline keeps the two DLA cores busy too, so that line is for all of the
  device.
- Joules above idle are the published ones less idle power times time.
- What has no joules, or no figures at all, follows another model, mode or type, as ``models.toml`` says for each. The
  joules of another mode grow with the speed-up; between AGX Orin's two modes they grow with its power of 0.6 to 1.7.
"""

import functools
from dataclasses import dataclass

from heterosis.catalogue.models import Point, Scaled, find_model, models
from heterosis.catalogue.records import Origin
from heterosis.catalogue.types import find_entry, types

MEAN_OVER_P90 = 0.99
EIGHT = 8
"""Items of a MultiStream query; ratios between models, modes and types are taken at this batch size."""


@dataclass(frozen=True, slots=True)
class Line:
    """Of a batch: a part that it costs at all, and one for each item."""

    fixed: float
    per_item: float

    def at(self, batch: int) -> float:
        """Of a batch of this size."""
        return self.fixed + self.per_item * batch

    def __mul__(self, factor: float) -> "Line":
        """Scale both parts."""
        return Line(self.fixed * factor, self.per_item * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What batches of a model take on a type in a mode. ``ms`` is the mean time, ``joules`` are above idle."""

    type: str
    mode: str
    model: str
    threads: int
    precision: str
    ms: Line
    joules: Line
    quality: Origin
    source: str

    @property
    def engine(self) -> str:
        """What runs it."""
        return find_entry(self.type).engine

    @property
    def variant(self) -> str:
        """Name of the variant that runs."""
        return f"{self.model}/{self.engine}-{self.precision}"

    @property
    def accuracy(self) -> float:
        """Of that variant, by the model's own metric."""
        return find_model(self.model).accuracy_with(self.engine, self.precision)

    @property
    def dynamic_w(self) -> float:
        """Power above idle in batches of eight."""
        return self.joules.at(EIGHT) / self.ms.at(EIGHT) * 1e3


@functools.cache
def curves() -> tuple[Curve, ...]:
    """Every model on every type and mode that it has figures for, in the order of the catalogue's types."""
    order = {
        (entry.name, mode.name): (at, k) for at, entry in enumerate(types().type) for k, mode in enumerate(entry.mode)
    }
    found = [_of_point(point) for point in models().point] + [_of_scaled(entry) for entry in models().scaled]
    return tuple(sorted(found, key=lambda curve: (*order[curve.type, curve.mode], curve.model, curve.threads)))


def _curve(type_: str, mode: str, model: str) -> Curve:
    """Of the first entry for a model in a place."""
    for point in models().point:
        if (point.type, point.mode, point.model) == (type_, mode, model):
            return _of_point(point)
    for entry in models().scaled:
        if (entry.type, entry.mode, entry.model) == (type_, mode, model):
            return _of_scaled(entry)
    raise LookupError(f"models.toml needs {model} on {type_} in mode {mode}, and has no figures of that")


@functools.cache
def _of_point(point: Point) -> Curve:
    source = models().sources[point.source]
    ms = _time(point)
    joules, quality = _energy(point, ms)
    notes = [note for note in (point.note, _how_modelled(point)) if note]
    return Curve(
        type=point.type,
        mode=point.mode,
        model=point.model,
        threads=point.threads,
        precision=point.precision,
        ms=ms,
        joules=joules,
        quality=quality,
        source=", ".join((str(source), *notes)),
    )


def _how_modelled(point: Point) -> str:
    if point.power_of is not None:
        return f"power as of {point.power_of}"
    return "" if point.joules_of is None else f"joules are those in {point.joules_of} times the speed-up"


@functools.cache
def _of_scaled(entry: Scaled) -> Curve:
    origin = _curve(entry.of.type, entry.of.mode, entry.model)
    here, there = _curve(entry.type, entry.mode, entry.by), _curve(entry.of.type, entry.of.mode, entry.by)
    ms = origin.ms * (here.ms.at(EIGHT) / there.ms.at(EIGHT))
    return Curve(
        type=entry.type,
        mode=entry.mode,
        model=entry.model,
        threads=entry.threads,
        precision=entry.precision,
        ms=ms,
        joules=_within_power(origin.joules * (here.joules.at(EIGHT) / there.joules.at(EIGHT)), ms, entry),
        quality="modelled",
        source=f"as on {entry.of.type} {entry.of.mode} ({origin.source}), by the ratio of {entry.by} here and there",
    )


def _within_power(joules: Line, ms: Line, entry: Scaled) -> Line:
    """Return the joules, or what the device can draw in that time where it is less."""
    device = find_entry(entry.type)
    mode = device.power_mode(entry.mode)
    most = ms * ((mode.active_w - mode.idle_w) / device.slots * entry.threads / 1e3)
    return min(joules, most, key=lambda line: line.at(EIGHT))


def _time(point: Point) -> Line:
    single = _mean(point.single_ms, point.single_p90_ms)
    multi = _mean(point.multi_ms, point.multi_p90_ms)
    if single is None or (multi is None and point.offline_per_s is None):
        raise LookupError(f"{point.model} on {point.type} in {point.mode} needs single, and multi or offline, figures")
    return _line(single, multi, None if point.offline_per_s is None else 1e3 / point.offline_per_s)


def _energy(point: Point, ms: Line) -> tuple[Line, Origin]:
    if point.single_j is not None:
        idle_w = find_entry(point.type).power_mode(point.mode).idle_w

        def dynamic(joules: float | None, time_ms: float) -> float | None:
            return None if joules is None else joules - idle_w * time_ms / 1e3

        single = dynamic(point.single_j, ms.at(1))
        assert single is not None  # noqa: S101
        multi = dynamic(point.multi_j, ms.at(EIGHT))
        offline = dynamic(point.offline_j, 1e3 / point.offline_per_s) if point.offline_per_s else None
        return _line(single, multi, offline), "published"
    if point.dynamic_w is not None:
        return ms * (point.dynamic_w * point.threads / 1e3), "published" if point.published_w else "modelled"
    if point.power_of is not None:
        return ms * (_curve(point.type, point.mode, point.power_of).dynamic_w / 1e3), "modelled"
    if point.joules_of is not None:
        slower = _curve(point.type, point.joules_of, point.model)
        return slower.joules * (slower.ms.at(EIGHT) / ms.at(EIGHT)), "modelled"
    raise LookupError(f"{point.model} on {point.type} in {point.mode} needs joules, or what to take them from")


def _mean(mean: float | None, p90: float | None) -> float | None:
    return mean if p90 is None else MEAN_OVER_P90 * p90


def _line(single: float, multi: float | None, per_item: float | None) -> Line:
    """Through one item and a batch of eight, or on from one item; a further item never takes more than the first."""
    slope = (multi - single) / (EIGHT - 1) if multi is not None else single if per_item is None else per_item
    slope = min(slope, single)
    return Line(single - slope, slope)

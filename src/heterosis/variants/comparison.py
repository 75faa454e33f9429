"""Variants of one stage side by side: what each costs for what accuracy, and which no other beats."""

from collections.abc import Sequence

import msgspec

from heterosis.terms import OperatingPoint, Variant, VariantSet


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A variant, and what it takes on this machine: one item, one thread."""

    variant: Variant
    point: OperatingPoint | None
    """None where it was not measured."""
    speedup: float | None
    """How many times faster at the median than the stage's reference."""
    unbeaten: bool
    """Whether no other variant of the stage is as accurate, as fast and as frugal, and better in one of these."""
    change: float | None
    """The difference of the pipeline's accuracy from what it is with the reference; its interval is the variant's."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All variants of a pipeline."""

    pipeline: str
    machine: str
    rows: tuple[Row, ...]


def compare(found: VariantSet, points: Sequence[OperatingPoint], machine: str) -> Comparison:
    """Put variants beside their measurements, those of stages without models apart."""
    at = {(point.configuration.stage, point.configuration.variant): point for point in points}
    rows: list[Row] = []
    for variant in found.variants:
        mine = at.get((variant.stage, variant.name))
        first = at.get((variant.stage, found.reference(variant.stage).name))
        others = [(each, at.get((each.stage, each.name))) for each in found.of(variant.stage) if each != variant]
        rows.append(
            Row(
                variant=variant,
                point=mine,
                speedup=first.latency.p50_ms / mine.latency.p50_ms if mine and first else None,
                unbeaten=mine is not None
                and not any(_beats(_figures(a, b), _figures(variant, mine)) for a, b in others if b is not None),
                change=None
                if variant.accuracy is None or found.reference_accuracy is None
                else variant.accuracy - found.reference_accuracy,
            )
        )
    return Comparison(pipeline=found.pipeline, machine=machine, rows=tuple(rows))


def _figures(variant: Variant, point: OperatingPoint) -> tuple[float, float, float]:
    """Return what is to be small: time, energy (CPU time where that is unknown), and what is lost of the accuracy."""
    joules = point.energy_per_item.joules
    return point.latency.p50_ms, point.cpu_ms if joules is None else joules, -(variant.accuracy or 0.0)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))

"""Measures again what the store has already: the machine is not what it was then."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from heterosis.pipeline import load_pipeline
from heterosis.profiling.source import Source
from heterosis.terms import Configuration, Device, OperatingPoint, VariantSet

SECONDS = 0.5
"""Of each point."""


def remeasure(
    target: str,
    variants: VariantSet,
    inputs: Mapping[str, Sequence[tuple[Any, ...]]],
    device: Device,
    places: Collection[tuple[Configuration, int]],
    *,
    store: Path,
) -> list[OperatingPoint]:
    """Measure configurations at batch sizes, in the power mode that the device is in, and keep that in the store.

    What the store had of them is replaced. Raise ProbeError where one cannot be measured.
    """
    source = Source(target, device, store, 1.0, lambda _mode: None)
    for stage in load_pipeline(target).stages:
        if inputs.get(stage.name):
            source.add(stage, inputs[stage.name])
    open_points, found = source.opener(variants), []
    with source:
        for configuration in dict.fromkeys(configuration for configuration, _ in places):
            with open_points(configuration) as points:
                found += [points.measure(batch, SECONDS) for each, batch in places if each == configuration]
    return found

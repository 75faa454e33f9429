"""Measuring again what the store knows: the machine is not what it was."""

from pathlib import Path

from heterosis.profiling.remeasuring import remeasure
from heterosis.terms import VariantSet
from tests.profiling.test_profiler import CPU, INPUTS, TINY, World


def test_what_is_measured_again_stands_in_for_what_was(tmp_path: Path) -> None:
    """In the store as well, point by point; what was not asked for stays."""
    world = World(tmp_path)
    before = {(point.configuration, point.batch): point for point in world.profile(TINY).points}
    places = [place for place in before if place[0].variant == world.small.name]
    variants = VariantSet(pipeline="p", variants=tuple(world.variants))
    found = remeasure(str(world.file), variants, INPUTS, CPU, places, store=world.store)
    assert [(point.configuration, point.batch) for point in found] == places
    assert all(point.samples and point != before[point.configuration, point.batch] for point in found)
    after = {(point.configuration, point.batch): point for point in world.profile(TINY).points}
    assert after == before | {(point.configuration, point.batch): point for point in found}

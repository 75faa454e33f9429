"""The options of each stage."""

import pytest

from heterosis.planning.options import ALL_COUNTS_UP_TO, Candidate, enumerate_options, instance_counts
from heterosis.planning.snapshot import Snapshot
from heterosis.terms import Exclusion, OperatingPoint, Slo, VariantSet
from heterosis.testing.snapshots import chain, point, snapshot, variant

SLO = Slo(latency_ms=1000)
A = variant("a")


def one_stage(*points: OperatingPoint, slots: int = 4, calls: int = 6) -> Snapshot:
    """Return a snapshot of a single stage with one variant."""
    return snapshot(chain({"a": [calls]}), [A], points, slo=SLO, slots=slots)


def only(candidates: tuple[Candidate, ...], instances: int, batch: int) -> Candidate:
    """Return the one option of so many instances and so large a batch."""
    (found,) = [each for each in candidates if (each.instances, each.batch) == (instances, batch)]
    return found


def test_figures_of_an_option_are_those_of_the_formula() -> None:
    """Six calls on two instances of two threads fill batches of 3: see each figure."""
    candidates, _ = enumerate_options(
        one_stage(point(A, 2, 1, 10.0, joules=1.0, tail=2.0), point(A, 2, 4, 28.0, joules=4.0, memory_bytes=7))
    )
    option = only(candidates, instances=2, batch=4)
    mean_ms = 22.0  # of a batch of 3, two thirds of the way from 10 to 28
    assert option.latency_ms == pytest.approx(20 + 2 / 3 * (28 - 20))
    assert option.work_ms == pytest.approx(6 / 3 * mean_ms * 2)
    assert option.load_ms == pytest.approx(option.work_ms / 4)
    assert option.beside_ms == pytest.approx(option.work_ms / 4)
    assert option.cpu_ms == pytest.approx(6 / 3 * 2 * mean_ms)
    assert option.energy.joules == pytest.approx(6 / 3 * 3)
    assert option.memory_bytes == 14


def test_instances_of_a_stage_have_slots_of_their_own() -> None:
    """Two threads on four slots: one or two instances; three threads: one."""
    candidates, _ = enumerate_options(one_stage(point(A, 2, 1, 10.0), point(A, 3, 1, 9.0)))
    counts = {(each.configuration.threads, each.instances) for each in candidates}
    assert counts == {(2, 1), (2, 2), (3, 1)}
    assert {tuple(each.starts) for each in candidates if each.slots == 3} == {(0, 1)}


def test_many_instances_are_tried_in_coarser_steps() -> None:
    """Every count up to a few, then powers of two, and as many as there is room for."""
    assert instance_counts(ALL_COUNTS_UP_TO) == [1, 2, 3, 4]
    assert instance_counts(12) == [1, 2, 4, 8, 12]


def test_what_cannot_run_here_says_why() -> None:
    """Too many threads, the engine's own choice of them, another device type, another power mode."""
    points = (
        point(A, 8, 1, 5.0),
        point(A, 0, 1, 6.0),
        point(A, 1, 1, 4.0, device_type="gpu"),
        point(A, 1, 1, 9.0, power_mode="low"),
    )
    candidates, refused = enumerate_options(one_stage(*points))
    assert not candidates
    assert [option.reason for option in refused] == [
        "needs 8 slots, cpu has 4",
        "measured with the engine's own choice of threads, which takes no slots and so cannot be planned",
        "no device of type gpu in the fleet",
        "cpu has no power mode low",
    ]


def test_an_excluded_variant_keeps_its_reason() -> None:
    """What made a variant unfit is told where its points turn up."""
    out = variant("a", precision="int8")
    base = one_stage(point(A, 1, 1, 9.0), point(out, 1, 1, 5.0))
    variants = VariantSet(
        pipeline="test", variants=(A,), excluded=(Exclusion(stage="a", name=out.name, reason="accuracy fell to 0.2"),)
    )
    _, refused = enumerate_options(
        Snapshot(graph=base.graph, slo=SLO, rate_rps=1, variants=variants, profile=base.profile, fleet=base.fleet)
    )
    assert [option.reason for option in refused] == ["variant left out: accuracy fell to 0.2"]


def test_accuracy_counts_against_the_reference_and_unknown_counts_as_the_same() -> None:
    """0.9 against a reference of 0.96; a variant that was not judged loses nothing."""
    small, tiny = variant("a", accuracy=0.96), variant("a", "tiny", accuracy=0.9)
    unjudged = variant("a", "nano")
    points = [point(each, 1, 1, 5.0) for each in (small, tiny, unjudged)]
    base = snapshot(chain({"a": [1]}), [small, tiny, unjudged], points, slo=SLO, slots=1, reference_accuracy=0.96)
    candidates, _ = enumerate_options(base)
    assert {each.variant.model: each.relative_accuracy for each in candidates} == {
        "small": 1.0,
        "tiny": 0.9 / 0.96,
        "nano": 1.0,
    }

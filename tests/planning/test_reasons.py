"""Why each option was, or was not, taken."""

import pytest

from heterosis.planning import Snapshot, explain, plan
from heterosis.terms import OperatingPoint, Slo, Variant
from heterosis.testing.snapshots import chain, point, snapshot, variant

SMALL, TINY = variant("a", accuracy=0.9), variant("a", "tiny", accuracy=0.5)
TAKEN = point(SMALL, 1, 1, 50.0, joules=1.0)


def beside(*others: OperatingPoint, **limits: float) -> Snapshot:
    """Return one stage whose best option is `TAKEN`, with other options beside it."""
    slo = Slo(latency_ms=limits.get("latency_ms", 500.0), percentile=99, min_accuracy=limits.get("min_accuracy"))
    return snapshot(
        chain({"a": [1]}),
        [SMALL, TINY],
        [TAKEN, *others],
        slo=slo,
        rate_rps=limits.get("rate_rps", 0.1),
        memory_bytes=1000,
        reference_accuracy=0.9,
    )


@pytest.mark.parametrize(
    ("other", "limits", "reason"),
    [
        (point(SMALL, 2, 1, 600.0, joules=0.5), {}, "too slow alone: 600 ms > 500 ms"),
        (point(TINY, 1, 1, 5.0, joules=0.5), {"min_accuracy": 0.8}, "accuracy 0.5 below the floor of 0.8"),
        (point(SMALL, 2, 1, 60.0, joules=2.0), {}, "in no way better than small/onnxruntime-fp32, 1 thread"),
        (point(SMALL, 2, 1, 30.0, joules=1.5), {}, "would fit, but dearer by 0.5 J per request (1.5x)"),
        (point(SMALL, 2, 1, 30.0, joules=0.5, memory_bytes=2_000_000), {}, "needs 2 MB, cpu has 0 MB"),
        (
            point(SMALL, 2, 1, 95.0, joules=0.5),
            {"rate_rps": 10.0},
            "keeps its slots busy 95% of the time, at most 90% can be planned",
        ),
        (point(SMALL, 4, 1, 30.0), {}, "needs 4 slots, cpu has 2"),
    ],
)
def test_an_option_that_was_not_taken_says_why(other: OperatingPoint, limits: dict[str, float], reason: str) -> None:
    """For each kind of reason."""
    made = plan(beside(other, **limits))
    (row,) = [option for option in made.options if option.configuration == other.configuration]
    assert not row.chosen
    assert row.reason.startswith(reason)


def two_stages(of: Variant, other: Variant, **slo: float) -> Snapshot:
    """Return two stages of 100 ms each, the second with a cheap variant of 350 ms that asks the first to hurry."""
    fast = [point(of, 1, 1, 100.0, joules=1.0), point(of, 2, 1, 40.0, joules=4.0)]
    second = variant("b", accuracy=0.9)
    points = [*fast, point(second, 1, 1, 100.0, joules=2.0), point(other, 1, 1, 350.0, joules=1.5)]
    return snapshot(
        chain({"a": [1], "b": [1]}),
        [of, second, other],
        points,
        slo=Slo(latency_ms=slo["latency_ms"], percentile=99),
        rate_rps=0.01,
        reference_accuracy=0.9,
    )


def test_an_option_that_needs_others_elsewhere_is_priced_with_them() -> None:
    """The cheap, slow variant fits only if the first stage pays for two threads."""
    slow = variant("b", "slow", accuracy=0.9)
    made = plan(two_stages(SMALL, slow, latency_ms=400.0))
    (row,) = [option for option in made.options if option.configuration.variant == slow.name]
    assert row.reason == "would fit with other options elsewhere, but dearer by 2.5 J per request (1.83x)"


def test_an_option_too_slow_with_the_fastest_others_says_so() -> None:
    """350 ms alone would do, 390 ms with the fastest first stage would not."""
    slow = variant("b", "slow", accuracy=0.9)
    made = plan(two_stages(SMALL, slow, latency_ms=380.0))
    (row,) = [option for option in made.options if option.configuration.variant == slow.name]
    assert row.reason == "too slow: 350 ms, and with the fastest of the other stages 390 ms > 380 ms"


def test_a_plan_is_explained_in_lines() -> None:
    """What was asked, what is predicted, each stage, and each option, the one taken first."""
    lines = explain(plan(beside(point(SMALL, 2, 1, 30.0, joules=1.5))))
    assert lines[0] == "test: p99 within 500 ms, at 0.1 requests/s"
    assert lines[1].startswith("predicted: ")
    assert "1 J (modelled) of dynamic energy per request" in lines[1]
    options = [line for line in lines if line.startswith(("  * ", "  - "))]
    assert options[0].startswith("  * small/onnxruntime-fp32, cpu, 1 thread, batch 1: taken, 1 instance: 1 J, 50 ms")
    assert options[1].startswith("  - small/onnxruntime-fp32, cpu, 2 threads, batch 1: would fit, but dearer")

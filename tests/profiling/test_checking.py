"""How well points are predicted that were left out."""

from heterosis.profiling.checking import BATCH, THREADS, check, summary
from heterosis.terms import Configuration, Latency, OperatingPoint


def point(variant: str, threads: int, batch: int, ms: float) -> OperatingPoint:
    """Make a point."""
    configuration = Configuration(stage="s", variant=variant, device_type="cpu", threads=threads)
    latency = Latency(mean_ms=ms, p50_ms=ms, p95_ms=1.3 * ms, p99_ms=1.5 * ms)
    return OperatingPoint(configuration=configuration, batch=batch, latency=latency, cpu_ms=ms, samples=30)


def grid(disturbed: float = 1.0) -> list[OperatingPoint]:
    """Three variants that scale alike, of which one may be off at one point."""
    return [
        point(f"v{number}/e-fp32", threads, batch, (2 + batch) * (number + 1) / threads**0.8)
        for number in range(3)
        for threads in (1, 2)
        for batch in (1, 2, 4, 8)
        if (number, threads, batch) != (2, 1, 4)
    ] + [point("v2/e-fp32", 1, 4, 18 * disturbed)]


def test_every_point_that_can_be_is_left_out_once() -> None:
    """Inner batch sizes of each configuration, and every configuration with more threads."""
    held = check(grid())
    assert sorted(
        (each.configuration.variant, each.configuration.threads, each.batch) for each in held if each.held_out == BATCH
    ) == [(f"v{number}/e-fp32", threads, batch) for number in range(3) for threads in (1, 2) for batch in (2, 4)]
    assert {each.configuration.threads for each in held if each.held_out == THREADS} == {2}
    assert sum(each.held_out == THREADS for each in held) == 12


def test_models_that_scale_alike_are_predicted() -> None:
    """Medians are within 3 % for batch sizes and 5 % for threads, and the intervals hold."""
    by_batch, by_threads = summary(check(grid()))
    assert (by_batch.points, by_threads.points) == (12, 12)
    assert by_batch.p50_error < 0.03
    assert by_batch.p95_error < 0.03
    assert by_threads.p50_error < 0.05
    assert min(by_batch.within, by_threads.within) > 0.9


def test_a_point_that_is_off_shows() -> None:
    """What no other point could tell of is an error, and outside its interval."""
    (off,) = [
        each
        for each in check(grid(disturbed=2.0))
        if (each.configuration.variant, each.configuration.threads, each.batch, each.held_out)
        == ("v2/e-fp32", 1, 4, BATCH)
    ]
    assert 0.4 < off.p50_error < 0.6
    assert not off.within


def test_nothing_to_check_with() -> None:
    """One point can be left out, but then nothing is known."""
    assert check([point("v0/e-fp32", 1, 1, 3.0)]) == []
    assert summary([]) == []

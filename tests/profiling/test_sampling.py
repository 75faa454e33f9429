"""Measuring in the process that runs the stage."""

import os
import subprocess
import sys
import time
from collections import Counter
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterosis.pipeline import FUNCTION, Stage, StageRunner
from heterosis.profiling.sampling import FEWEST_BATCHES, FEWEST_SAMPLES, draw, measure
from heterosis.terms.errors import StageError


class Work:
    """Sleep or burn for as long as each call says."""

    def run(self, how: str, seconds: float) -> None:
        """Do it."""
        if how == "fail":
            raise ValueError("cannot")
        if how == "sleep":
            time.sleep(seconds)
        else:
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass


def runner() -> StageRunner:
    """Make a runner of the stage without a model."""
    return StageRunner(Stage(Work), FUNCTION)


@given(st.integers(1, 90), st.integers(1, 32))
def test_every_call_is_drawn_equally_often(count: int, batch: int) -> None:
    """Over one round of batches no call comes up more often than another, but for those that fill the last batch."""
    calls = [(number,) for number in range(count)]
    shuffles = -(-FEWEST_BATCHES * batch // count)
    batches = list(islice(draw(calls, batch), -(-shuffles * count // batch)))
    assert all(len(each) == batch for each in batches)
    drawn = Counter(args[0] for each in batches for args in each)
    assert len(drawn) == count
    assert max(drawn.values()) - min(drawn.values()) <= 1 + batch // count


def test_draws_are_the_same_for_all() -> None:
    """Every configuration gets the same batches."""
    calls = [(number,) for number in range(50)]
    assert list(islice(draw(calls, 4), 40)) == list(islice(draw(calls, 4), 40))


@pytest.mark.parametrize("batch", [1, 4])
def test_the_first_few_batches_are_typical(batch: int) -> None:
    """However few batches there is time for, their mean size is that of all inputs, far closer than chance."""
    random = np.random.default_rng(3)
    calls = [(np.zeros(size, np.uint8),) for size in random.integers(100, 10_000, 145)]
    mean = np.mean([call[0].nbytes for call in calls])
    for count in (8, 16, 32):
        drawn = [args[0].nbytes for each in islice(draw(calls, batch), count) for args in each]
        assert abs(np.mean(drawn) / mean - 1) < 0.1


def test_time_and_cpu_time_are_told_apart() -> None:
    """A batch that sleeps takes time but no CPU time; one that computes takes both, once for each call."""
    asleep = measure(runner(), [("sleep", 0.005)], 2, 0.2, load_ms=7)
    assert 10 <= asleep.latency.p50_ms < 15
    assert asleep.cpu_ms < 3
    assert asleep.load_ms == 7
    busy = measure(runner(), [("burn", 0.005)], 2, 0.2, load_ms=7)
    assert busy.cpu_ms == pytest.approx(10.0, abs=1.0)
    assert busy.latency.p50_ms >= 9.9
    assert busy.memory_bytes > 10e6


def test_sampling_ends_when_the_median_is_known_or_time_is_up() -> None:
    """Steady calls need few samples; slow ones get at least the fewest, and warm-up counts apart."""
    steady = measure(runner(), [("sleep", 0.002)], 1, 5.0, load_ms=0)
    assert steady.interval_ratio <= 0.03 or steady.samples > 500
    slow = measure(runner(), [("sleep", 0.05)], 1, 0.1, load_ms=0)
    assert slow.samples == FEWEST_SAMPLES
    assert 50 <= slow.warm_up_ms < 100, "one call, met once"


def test_inputs_vary_in_the_quantiles() -> None:
    """Quantiles are over real inputs: where one in ten takes long, the p95 says so and the median does not."""
    calls: list[tuple[Any, ...]] = [("sleep", 0.001)] * 18 + [("sleep", 0.02)] * 2
    found = measure(runner(), calls, 1, 0.6, load_ms=0)
    assert found.latency.p50_ms < 4
    assert found.latency.p95_ms > 18
    assert found.outliers > 0


def test_a_failing_call_is_an_error() -> None:
    """A point on which calls fail is no measurement."""
    with pytest.raises(StageError, match="stage 'work' failed: ValueError: cannot"):
        measure(runner(), [("sleep", 0.0), ("fail", 0.0)], 2, 0.1, load_ms=0)


def test_a_busy_machine_shows() -> None:
    """Where another process takes turns on the same core, much time is spent waiting for it, which is no latency."""
    core = min(os.sched_getaffinity(0))
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        found = measure(runner(), [("burn", 0.02)], 1, 0.5, load_ms=0)
    finally:
        rival.kill()
        rival.wait()
        os.sched_setaffinity(0, allowed)
    assert 0.25 < found.waiting_ratio < 0.9
    assert found.cpu_ms == pytest.approx(found.latency.mean_ms, rel=0.15)


def test_first_times_are_not_measured() -> None:
    """What takes long only when an input is met for the first time, as engines do with shapes, is warm-up."""

    class Learn:
        seen: ClassVar[set[int]] = set()

        def run(self, number: int) -> None:
            time.sleep(0.001 if number in self.seen else 0.03)
            self.seen.add(number)

    found = measure(StageRunner(Stage(Learn), FUNCTION), [(number,) for number in range(40)], 1, 0.2, load_ms=0)
    assert found.latency.p99_ms < 20
    assert found.warm_up_ms > 6 * 30

"""Windows cut out of what a meter tells through a run, and traces played back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from heterosis.profiling.meters import EnergyLog, ReplayMeter
from heterosis.terms import UNKNOWN, Energy, Quality
from heterosis.terms.errors import UsageError


class Ramp:
    """A meter of 5 W, with the clock that it goes by; ``ends`` is when it is unplugged."""

    def __init__(self, ends: float = 1e9) -> None:
        """Begin at 100 s."""
        self.now = 100.0
        self._ends = ends

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    def read(self) -> dict[str, Energy]:
        """Tell the joules."""
        known = self.now < self._ends
        return {"idle": Energy(5.0 * (self.now - 100.0), Quality.COUNTER) if known else UNKNOWN}


@pytest.fixture
def run() -> Callable[[Ramp], EnergyLog]:
    """Return what logs ten seconds, one reading each."""

    def run(meter: Ramp) -> EnergyLog:
        log = EnergyLog(meter, period_s=0, resolution_s=0.1, clock=meter.clock)
        for _ in range(10):
            meter.now += 1.0
            log.sample()
        return log

    return run


def test_a_window_lies_between_readings(run: Callable[[Ramp], EnergyLog]) -> None:
    """It begins and ends where the run says, and carries what was declared."""
    window = run(Ramp()).window(102.5, 106.5, warm_up_s=2.5, settings={"mode": "MAXN"})
    assert window.energy["idle"].joules == pytest.approx(20.0)
    assert window.power("idle").joules == pytest.approx(5.0)
    assert window.power("idle").quality is Quality.COUNTER
    assert window.error_ratio == pytest.approx(0.1 / 4.0)
    assert (window.seconds, window.warm_up_s, window.settings) == (4.0, 2.5, {"mode": "MAXN"})


def test_a_window_with_an_unknown_end_is_unknown(run: Callable[[Ramp], EnergyLog]) -> None:
    """A meter that was unplugged meanwhile has not told 0 J; windows before that are known."""
    log = run(Ramp(ends=106.0))
    assert log.window(104.0, 108.0).energy == {"idle": UNKNOWN}
    assert log.window(101.0, 104.0).energy["idle"].joules == pytest.approx(15.0)


def test_a_window_outside_of_the_log_is_refused(run: Callable[[Ramp], EnergyLog]) -> None:
    """Nothing is extrapolated."""
    log = run(Ramp())
    for began, ended in ((99.0, 103.0), (105.0, 111.0), (104.0, 104.0)):
        with pytest.raises(UsageError, match="the log has no window"):
            log.window(began, ended)


def test_reads_by_itself() -> None:
    """On a thread, as often as asked, until it is closed."""
    meter = Ramp()
    with EnergyLog(meter, period_s=0.005) as log:
        import time

        began = time.monotonic()
        time.sleep(0.05)
        assert log.window(began, time.monotonic() - 0.001).error_ratio == pytest.approx(0.1, rel=0.5)


def test_a_trace_is_played_back(tmp_path: Path, run: Callable[[Ramp], EnergyLog]) -> None:
    """What a log saved reads the same: linear between readings, with its quality; nothing after its end."""
    path = tmp_path / "trace.csv"
    run(Ramp()).save(path)
    now = [0.0]
    meter = ReplayMeter(path, clock=lambda: now[0])
    assert meter.read()["idle"] == Energy(0.0, Quality.COUNTER)
    now[0] = 3.5
    assert meter.read()["idle"].joules == pytest.approx(17.5)
    now[0] = 10.5
    assert meter.read() == {"idle": UNKNOWN}


def test_unknown_stays_unknown_on_paper(tmp_path: Path, run: Callable[[Ramp], EnergyLog]) -> None:
    """A gap is written as nothing, and played back as unknown."""
    path = tmp_path / "trace.csv"
    run(Ramp(ends=105.0)).save(path)
    now = [0.0]
    meter = ReplayMeter(path, clock=lambda: now[0])
    now[0] = 7.0
    assert meter.read() == {"idle": UNKNOWN}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n", "first line must be at_s,domain,joules,quality"),
        ("at_s,domain,joules,quality\n0,idle,0,counter\n1,idle,x,counter\n", "line 3"),
        ("at_s,domain,joules,quality\n1,idle,0,counter\n0,idle,1,counter\n", "time goes backwards"),
        ("at_s,domain,joules,quality\n0,idle,0,none\n", "line 2: unknown energy has neither"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """With the file and the line."""
    path = tmp_path / "trace.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        ReplayMeter(path)

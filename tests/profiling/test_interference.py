"""Two instances side by side."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from heterosis.pipeline import FUNCTION
from heterosis.profiling.bench import Bench
from heterosis.profiling.inputs import save_inputs
from heterosis.profiling.interference import MATERIAL, Neighbours, crowding
from heterosis.profiling.records import Records, Subject
from heterosis.profiling.settings import Budget
from heterosis.terms import Configuration, Interference, Variant

PIPELINE = """
import os, time
from pathlib import Path
import heterosis as hs

class Alone:
    '''Takes 5 ms, or 20 while another process of its kind has its folder open.'''
    def run(self, folder):
        mine = Path(folder) / str(os.getpid())
        mine.touch()
        others = [file for file in Path(folder).iterdir() if file != mine and time.time() - file.stat().st_mtime < 0.1]
        time.sleep(0.02 if others else 0.005)

alone = hs.stage(Alone)

@hs.pipeline(slo=hs.Slo(latency_ms=100))
async def p(folder: str) -> None:
    await alone(folder)
"""
VARIANT = Variant(stage="alone", model=FUNCTION, engine=FUNCTION, precision="", artifact="", digest="")
ONE = Configuration(stage="alone", variant=VARIANT.name, device_type="cpu")
WIDE = Configuration(stage="alone", variant=VARIANT.name, device_type="cpu", threads=2)


class World:
    """A store, and processes that disturb each other."""

    def __init__(self, folder: Path) -> None:
        """Write the pipeline down."""
        self.file = folder / "pipe.py"
        self.file.write_text(PIPELINE)
        (folder / "meeting").mkdir()
        self.inputs = save_inputs(folder, "alone", [(str(folder / "meeting"),)])
        self.records = Records(folder)
        self.started: list[Sequence[int]] = []

    def start(self, configuration: Configuration, cores: Sequence[int]) -> Bench:
        """Start a process; both on the same core, since they sleep, wherever they were to run."""
        self.started.append(cores[: configuration.threads])
        return Bench(str(self.file), VARIANT, configuration.threads, [0], self.inputs.path)

    def subject(self, configuration: Configuration) -> Subject:
        """What is measured."""
        return Subject(
            stage="alone",
            variant=VARIANT.name,
            digest="",
            threads=configuration.threads,
            machine="m",
            versions={},
            inputs="",
            code="",
        )

    def measure(self, *configurations: Configuration, cores: int = 2, budget_s: float = 60) -> list[Interference]:
        """Measure them side by side, in batches of one."""
        neighbours = Neighbours(self.records, self.subject, self.start, range(cores))
        return list(neighbours.measure(dict.fromkeys(configurations, 1), Budget(budget_s)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make a fresh one."""
    return World(tmp_path)


def test_who_disturbs_whom_is_measured_once(world: World) -> None:
    """The factor is that of the time beside the other, each on cores of its own; the store remembers it."""
    (found,) = world.measure(ONE)
    assert (found.configuration, found.beside) == (ONE, ONE)
    assert 2 < found.factor < 6
    assert world.started == [range(1), range(1, 2)]
    assert world.measure(ONE) == [found]
    assert len(world.started) == 2


def test_only_what_fits_side_by_side_is_measured(world: World) -> None:
    """Two that need more cores than there are take turns; and where the time is over, nothing is measured."""
    assert world.measure(WIDE) == []
    assert world.measure(ONE, budget_s=0) == []
    assert world.started == []


def test_crowding_counts_where_it_is_material() -> None:
    """It is the mean over pairs, and none where that is next to nothing, or nothing is known."""

    def pair(factor: float) -> Interference:
        return Interference(configuration=ONE, beside=ONE, factor=factor, interval_ratio=0.02)

    assert crowding([]) == 1.0
    assert crowding([pair(MATERIAL - 0.01)]) == 1.0
    assert crowding([pair(1.1), pair(1.3)]) == pytest.approx(1.2)

"""A small pipeline that says where it runs, and its plan."""

from pathlib import Path

import msgspec
import pytest

from heterosis.pipeline import FUNCTION
from heterosis.terms import Plan, Variant
from heterosis.testing import make_plan, make_variant

PIPELINE = """
import os, time
from pathlib import Path
import heterosis as hs

GREETING = (Path(__file__).parent / "greeting.txt").read_text()

class Where:
    def run(self, ms):
        time.sleep(ms / 1e3)
        return [GREETING, os.getpid()]

where = hs.stage(Where)

@hs.pipeline(slo=hs.Slo(latency_ms=5000))
async def here(ms: float) -> list:
    return await where(ms)

@here.samples
def samples():
    yield hs.Sample({"ms": 1.0})
"""


class World(msgspec.Struct):
    """A pipeline file, the variant of its stage, and a plan of one instance."""

    file: Path
    variant: Variant
    plan: Plan


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Write them down."""
    folder = tmp_path_factory.mktemp("here")
    file = folder / "here.py"
    file.write_text(PIPELINE)
    (folder / "greeting.txt").write_text("hello")
    (folder / "large.bin").write_bytes(b"x" * (2 << 20))
    variant = make_variant("where", model=FUNCTION, engine=FUNCTION)
    plan = make_plan({"where": 50.0}, slo_ms=5000.0, variants={"where": variant})
    return World(file=file, variant=variant, plan=msgspec.structs.replace(plan, pipeline="here"))

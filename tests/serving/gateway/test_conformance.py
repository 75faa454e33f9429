"""The server keeps to its own document, and stands bodies that are nearly right: `benchmarks.conformance`, shorter."""

import asyncio

import pytest

from benchmarks.conformance import check_document, fetch_document, fuzz_decoding, fuzz_live
from tests.serving.conftest import Serve

pytest.importorskip("schemathesis")


async def test_answers_are_as_documented(serving: Serve) -> None:
    """Every operation of the server's own document, with a real model and without, and never a server's error."""
    async with serving() as server:
        document = await asyncio.to_thread(fetch_document, server.url)
        assert await asyncio.to_thread(check_document, server.url, document, 300, "toy") >= 300


def test_nearly_right_bodies_are_decoded_or_refused() -> None:
    """Nothing else than a refusal is raised."""
    ends = fuzz_decoding(500)
    assert min(ends["decoded"], ends["refused"]) > 20


async def test_nearly_right_bodies_leave_workers_alone(serving: Serve) -> None:
    """Through the whole server: answers are 200 or 400, and the workers are those that were there before."""
    async with serving() as server:
        pids = server.launcher.pids()
        statuses = await asyncio.to_thread(fuzz_live, server.url, "toy", 200)
        assert set(statuses) <= {200, 400}
        assert server.launcher.pids() == pids

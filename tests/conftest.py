"""How the tests are run."""

from pathlib import Path

import pytest

LIVE = {"bench", "benchmarks", "cli", "client", "engines", "launch", "packing", "profiling", "serving", "workflow"}
"""Packages whose tests start processes and wait for them, on a machine that others may use at the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark live tests, and give each a second try; the report names those that took it."""
    root = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(root) and item.path.relative_to(root).parts[0] in LIVE:
            item.add_marker("live")
            item.add_marker(pytest.mark.flaky(reruns=1))

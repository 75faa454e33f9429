"""The stubs are those of the .proto files."""

from pathlib import Path

import pytest

from heterosis.serving.protocol.grpc.generate import STUBS, generate

pytest.importorskip("grpc_tools")


def test_the_stubs_are_current(tmp_path: Path) -> None:
    """Generated again, they are the same: `python -m heterosis.serving.protocol.grpc.generate` writes them."""
    generate(tmp_path)
    for made in sorted(tmp_path.iterdir()):
        assert made.read_text() == (STUBS / made.name).read_text(), made.name

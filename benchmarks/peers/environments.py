"""An environment of its own for each peer, made once by pip and kept in a cache folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.peer import Peer

INSTALL_SECONDS = 1200
UNWANTED = ("torch",)
"""A peer that asks for these is not installed: gigabytes that a model in ONNX has no use for."""


class InstallError(Exception):
    """A peer that cannot be installed here; the message is pip's."""


def default_cache() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "heterosis" / "peers"


def python_of(peer: Peer, cache: Path) -> str:
    """Return the interpreter that has the peer, after installing it where it is not there. Raise InstallError."""
    if not peer.packages:
        return sys.executable
    wanted = "\n".join((*peer.packages, sys.version))
    folder = cache / f"{peer.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{name}<0\n" for name in UNWANTED))
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            done = subprocess.run(  # noqa: S603 - names that are written down in this folder
                [*command, "--constraint", str(constraints), *peer.packages],
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InstallError(f"pip was not done after {INSTALL_SECONDS} s") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-300:]]
            raise InstallError(f"pip: {lines[0].removeprefix('ERROR: ')}")
        complete.touch()
    return str(python)

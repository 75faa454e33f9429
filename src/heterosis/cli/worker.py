"""`heterosis worker`: a packed worker joins a server."""

import os
import platform
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from heterosis.cli.console import interruptible, remark
from heterosis.terms.errors import UsageError

TokenFile = Annotated[
    Path, Parameter(help="File with the server's token; readable by its owner alone.", show_default=False)
]


def worker(
    folder: Annotated[Path, Parameter(help="A packed worker, as `heterosis pack` writes it.")],
    /,
    *,
    join: Annotated[str, Parameter(help="Where the server lets workers in: tcp://HOST:PORT.")],
    token_file: TokenFile,
    name: Annotated[str | None, Parameter(help="What the server calls it; by default this host and process.")] = None,
    patience: Annotated[float, Parameter(help="Seconds to wait for the server to be there.")] = 60.0,
) -> None:
    """Join a server with a packed variant, and take its share of the calls until the server ends.

    ```
    heterosis worker packs/ocr-recognise-tiny-openvino-int8-cpu --join tcp://10.0.0.5:9000 --token-file token
    ```
    """
    from heterosis.packing.manifest import read_manifest
    from heterosis.serving.guest import be_guest

    token = read_token(token_file)
    where = folder.resolve()
    manifest = read_manifest(where)
    with interruptible("the server goes on without this worker"):
        be_guest(where, manifest, join, token, name or f"{platform.node()}-{os.getpid()}", patience)
    remark("the server has hung up")


def read_token(path: Path) -> str:
    """Read a token. Raise UsageError where there is none, or where others could read it, too."""
    try:
        token = path.read_text(encoding="ascii").strip()
        others = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token {path}: {error}") from None
    if len(token) < LEAST_TOKEN:
        raise UsageError(
            f"the token in {path} has {len(token)} characters, at least {LEAST_TOKEN} are needed: "
            "write one with `(umask 077; openssl rand -hex 32 > FILE)`"
        )
    if others:
        raise UsageError(f"others can read the token {path}: chmod 600 {path}")
    return token


LEAST_TOKEN = 16

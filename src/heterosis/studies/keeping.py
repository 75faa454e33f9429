"""What the parts of a study came to, kept in a folder, so that one that was interrupted goes on where it was.

A part is found again by its function, its arguments, and the source of all of heterosis: figures of one table are of
one version. What is not found is run.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

import heterosis


class Kept:
    """Results of one function, in a folder; one file each, named after the function."""

    def __init__(self, folder: Path, function: Callable[..., Any]) -> None:
        """Look there; what the function returns must be what it says it does, and something that JSON can hold."""
        self._folder, self._function = folder, function
        self._returns = get_type_hints(function)["return"]

    def find(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the result for these arguments, in a tuple; an empty one where it is not known, or is broken."""
        try:
            return (msgspec.json.decode(self._path(arguments).read_bytes(), type=self._returns),)
        except (FileNotFoundError, msgspec.DecodeError):
            return ()

    def keep(self, arguments: tuple[Any, ...], result: Any) -> None:
        """Keep a result, as a whole or not at all."""
        path = self._path(arguments)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(result))
        part.replace(path)

    def _path(self, arguments: tuple[Any, ...]) -> Path:
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        key = hashlib.sha256(f"{name}{arguments!r}{_sources()}".encode()).hexdigest()
        return self._folder / f"{name.removeprefix('heterosis.studies.')}-{key[:24]}.json"


@cache
def _sources() -> str:
    """A digest of heterosis: its code, and its catalogue."""
    found = hashlib.sha256()
    folder = Path(heterosis.__file__).parent
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.toml")]):
        found.update(path.read_bytes())
    return found.hexdigest()

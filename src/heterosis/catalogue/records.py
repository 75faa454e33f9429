"""What the catalogue's files are made of."""

from importlib.resources import files
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")

Origin = Literal["published", "modelled", "unverified"]
"""Read or computed from a source without assumptions; ours; or said to stand in a source that nobody looked up."""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where figures were published."""

    title: str
    url: str
    licence: str
    method: str = ""

    def __str__(self) -> str:
        """Name it for people."""
        return f"{self.title} ({self.url})"


def read(file: str, kind: type[T]) -> T:
    """Read a file that ships with heterosis."""
    return msgspec.toml.decode(files(__package__).joinpath(file).read_bytes(), type=kind)


def nearest(name: str, known: list[str]) -> str:
    """Return what a user may have meant, or all that there is, for the end of an error message."""
    import difflib

    found = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(found)}?" if found else f"there are: {', '.join(sorted(known))}"

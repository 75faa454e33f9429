"""Reads the small files in which Linux tells about hardware: /proc, /sys, the device tree."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def text(file: Path) -> str:
    """Return what a file says, without the blanks and zero bytes at its end; nothing where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip(" \t\r\n\0")
    except OSError:
        return ""


def number(file: Path, base: int = 10) -> int | None:
    """Return the whole number in a file; None where it cannot be read, or holds none."""
    try:
        return int(text(file), base)
    except ValueError:
        return None


def inside(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """Return what matches in a folder, in the order of its numbers; nothing where it is not there."""
    try:
        found = list(folder.glob(pattern))
    except OSError:
        return
    yield from sorted(found, key=lambda path: [(len(part), part) for part in path.parts])

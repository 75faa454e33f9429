"""What a packed worker is, and whether its folder is as it was written."""

import hashlib
from pathlib import Path

import msgspec

from heterosis.serving.messages import Assignment
from heterosis.terms import Variant
from heterosis.terms.errors import UsageError

NAME = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``manifest.json``. Paths are relative to the folder."""

    pipeline: str
    """``FILE`` or ``FILE:NAME``."""
    stage: str
    variant: Variant
    target: str
    device_type: str
    threads: int
    versions: dict[str, str]
    """Of what it was packed with: Python, heterosis, and every library that a worker imports."""
    files: dict[str, str]
    """The SHA-256 of every other file."""

    def adapted(self, folder: Path, assignment: Assignment) -> Assignment:
        """Make an assignment load what lies in the folder. Raise UsageError where another variant is asked for."""
        if (assignment.stage, assignment.variant.digest) != (self.stage, self.variant.digest):
            raise UsageError(
                f"this worker has {self.variant.name} of stage {self.stage!r}, and the server asks for "
                f"{assignment.variant.name} of {assignment.stage!r}: pack it anew"
            )
        artifact = str(folder / self.variant.artifact) if self.variant.artifact else ""
        return Assignment(
            pipeline=str(folder / self.pipeline),
            stage=self.stage,
            variant=msgspec.structs.replace(self.variant, artifact=artifact),
            threads=self.threads,
        )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder. Raise UsageError where there is none, or a file is not as it was written."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"{folder} is no packed worker ({error}); `heterosis pack` writes one") from None
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file() or digest_of(path) != digest:
            raise UsageError(f"{path} is not as it was packed: copy the folder anew")
    return manifest


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

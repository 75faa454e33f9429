"""Self-contained worker folders: a variant, the code of its stage, and what it takes to start it elsewhere."""

from heterosis.packing.folder import PACKABLE, pack
from heterosis.packing.manifest import Manifest, read_manifest

__all__ = ["PACKABLE", "Manifest", "pack", "read_manifest"]

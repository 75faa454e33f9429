"""Writes the folder of a packed worker."""

import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import heterosis
from heterosis import __version__
from heterosis.packing.manifest import NAME, Manifest, digest_of
from heterosis.packing.pins import pins
from heterosis.packing.texts import CONTAINERFILE, IMAGES, README, START
from heterosis.pipeline import Pipeline
from heterosis.terms import Variant
from heterosis.terms.errors import UsageError

PACKABLE = tuple(IMAGES)
"""What a folder can be for."""

LARGEST_BYTES = 1 << 20
"""Files beside the code up to this size go along: alphabets, labels. Models have a place of their own."""
LEFT_OUT = {"__pycache__", "node_modules", "venv"}


def pack(
    pipeline: Pipeline,
    target: str,
    variant: Variant,
    out: Path,
    *,
    platform_name: str = "cpu",
    device_type: str = "",
    threads: int = 1,
) -> Path:
    """Write the folder of one variant for one kind of machine, below ``out``; return it.

    ``target`` is ``FILE`` or ``FILE:NAME``. A folder of the same name is replaced. Raise UsageError where nothing can
    be packed so, EngineError where the variant does not load here.
    """
    if platform_name not in IMAGES:
        raise UsageError(f"nothing can be packed for {platform_name!r}; there is: {', '.join(PACKABLE)}")
    stage = next(stage for stage in pipeline.stages if stage.name == variant.stage)
    packages = [where.rpartition(":")[0] for where in stage.models.values() if ":" in where]
    pinned = pins(target, variant, packages)
    needed = {PACKAGES.get((platform_name, name), name): found for name, found in pinned.items()}
    folder = out / "-".join((pipeline.name, variant.stage, variant.name.replace("/", "-"), platform_name))
    if folder.exists():
        if not (folder / NAME).exists():
            raise UsageError(f"{folder} is there already, and no packed worker; give another --out")
        shutil.rmtree(folder)
    file, _, name = target.partition(".py:")
    source = Path(file if not name else f"{file}.py").resolve()
    packed = _code(source, stage.folder, folder / "code")
    library = Path(heterosis.__file__).parent
    shutil.copytree(library, folder / "lib" / "heterosis", ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / "lib" / f"heterosis-{__version__}.dist-info"  # by which a package knows its own version
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: heterosis\nVersion: {__version__}\n")
    texts = {
        "requirements.txt": "".join(f"{each}=={found}\n" for each, found in needed.items()),
        "start": START,
        "Containerfile": CONTAINERFILE.format(
            image=IMAGES[platform_name].format(python=".".join(platform.python_version_tuple()[:2]))
        ),
        "README.md": README.format(
            stage=variant.stage,
            variant=variant.name,
            pipeline=pipeline.name,
            target=platform_name,
            python=platform.python_version(),
        ),
    }
    for each, text in texts.items():
        (folder / each).write_text(text, encoding="utf-8")
    (folder / "start").chmod(0o755)
    manifest = Manifest(
        pipeline=f"code/{packed}" + (f":{name}" if name else ""),
        stage=variant.stage,
        variant=msgspec.structs.replace(variant, artifact=_artifact(variant, folder)),
        target=platform_name,
        device_type=device_type or platform_name,
        threads=threads,
        versions={"python": platform.python_version(), "heterosis": __version__, **needed},
        files={str(path.relative_to(folder)): digest_of(path) for path in sorted(_files(folder))},
    )
    (folder / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return folder


PACKAGES = {("cuda", "onnxruntime"): "onnxruntime-gpu"}
"""What an engine's library is called where it is another one."""


def _artifact(variant: Variant, folder: Path) -> str:
    """Copy the model, with the files that it is spread over: those of its name with other suffixes."""
    if not variant.artifact:
        return ""
    artifact = Path(variant.artifact)
    (folder / "model").mkdir()
    for part in sorted(artifact.parent.glob(f"{artifact.stem}.*")):
        shutil.copy2(part, folder / "model" / part.name)
    return f"model/{artifact.name}"


def _code(source: Path, stage_folder: Path, to: Path) -> str:
    """Copy the pipeline's folder, and say where its file is; a stage may lie in a folder below, but not elsewhere."""
    root = source.parent
    if not stage_folder.resolve().is_relative_to(root):
        raise UsageError(f"the stage lies in {stage_folder}, outside of {root}: only what is below that is packed")

    def enter(folder: Path) -> bool:
        hidden = folder.name in LEFT_OUT or folder.name.startswith(".")
        return not hidden and not to.resolve().is_relative_to(folder)  # nor what is being written

    for path in sorted(_files(root, enter)):
        if path.suffix == ".py" or path.stat().st_size <= LARGEST_BYTES:
            place = to / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
    return source.name


def _files(folder: Path, enter: Callable[[Path], bool] = lambda _: True) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and enter(path):
            yield from _files(path, enter)
        elif path.is_file():
            yield path

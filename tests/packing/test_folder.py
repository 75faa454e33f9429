"""What a packed worker's folder holds."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from heterosis.packing import Manifest, pack, read_manifest
from heterosis.packing.manifest import NAME
from heterosis.pipeline import load_pipeline
from heterosis.serving.messages import Assignment
from heterosis.terms import Variant
from heterosis.terms.errors import EngineError, UsageError
from tests.packing.conftest import World


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the stage, below the pipeline's own folder, twice: the second replaces the first."""
    out = tmp_path_factory.mktemp("packs")
    pipeline = load_pipeline(world.file)
    pack(pipeline, str(world.file), world.variant, out)
    return pack(pipeline, str(world.file), world.variant, out, threads=2, device_type="board")


def test_it_has_all_that_a_worker_needs(folder: Path) -> None:
    """Code with what lies beside it but for large files, the library, pins, a start script and a Containerfile."""
    manifest = read_manifest(folder)
    assert (manifest.stage, manifest.threads, manifest.device_type, manifest.target) == ("where", 2, "board", "cpu")
    assert {"code/here.py", "code/greeting.txt", "lib/heterosis/cli/worker.py", "start", "README.md"} <= set(
        manifest.files
    )
    assert "code/large.bin" not in manifest.files
    pinned = dict(line.split("==") for line in (folder / "requirements.txt").read_text().split())
    assert {"msgspec", "numpy", "cyclopts", "rich"} <= pinned.keys(), "rich is what cyclopts requires"
    assert any(name.startswith("lib/heterosis-") for name in manifest.files), "it knows its own version"
    assert pinned["numpy"] == manifest.versions["numpy"]
    assert not {"heterosis", "matplotlib", "scipy", "highspy", "pytest"} & pinned.keys()
    assert os.access(folder / "start", os.X_OK)
    subprocess.run(["/bin/sh", "-n", folder / "start"], check=True)  # noqa: S603
    assert 'ENTRYPOINT ["./start"]' in (folder / "Containerfile").read_text()


def test_a_model_goes_along_with_its_parts(world: World, tmp_path: Path) -> None:
    """OpenVINO's models are two files; what does not load here is not packed, and the reason is said."""
    (tmp_path / "m.xml").write_text("no model")
    (tmp_path / "m.bin").write_bytes(b"weights")
    broken = Variant(
        stage="where", model="m", engine="openvino", precision="fp32", artifact=str(tmp_path / "m.xml"), digest="m"
    )
    with pytest.raises(EngineError, match="cannot be packed, as it does not load"):
        pack(load_pipeline(world.file), str(world.file), broken, tmp_path / "packs")
    assert not (tmp_path / "packs").exists()


def test_a_changed_file_is_noticed(folder: Path) -> None:
    """Any file that is not as it was written, or gone, is named."""
    code = folder / "code" / "greeting.txt"
    code.write_text("hello!")
    with pytest.raises(UsageError, match=r"greeting\.txt is not as it was packed"):
        read_manifest(folder)
    code.write_text("hello")
    read_manifest(folder)
    with pytest.raises(UsageError, match="is no packed worker"):
        read_manifest(folder / "code")


def test_it_runs_what_it_has_and_nothing_else(folder: Path, world: World) -> None:
    """Paths of the server become those of the folder; another variant, or another stage, is refused."""
    manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    asked = Assignment(pipeline="/server/here.py", stage="where", variant=world.variant, threads=1)
    adapted = manifest.adapted(folder, asked)
    assert adapted.pipeline == str(folder / "code" / "here.py")
    assert adapted.threads == 2
    other = msgspec.structs.replace(asked, variant=msgspec.structs.replace(world.variant, digest="other"))
    with pytest.raises(UsageError, match="pack it anew"):
        manifest.adapted(folder, other)


def test_what_cannot_be_packed(world: World, tmp_path: Path) -> None:
    """An unknown target, and a folder in the way that is something else."""
    pipeline = load_pipeline(world.file)
    with pytest.raises(UsageError, match="nothing can be packed for 'abacus'; there is: cpu, cuda"):
        pack(pipeline, str(world.file), world.variant, tmp_path, platform_name="abacus")
    in_the_way = tmp_path / f"here-where-{world.variant.name.replace('/', '-')}-cpu"
    in_the_way.mkdir()
    with pytest.raises(UsageError, match="is there already"):
        pack(pipeline, str(world.file), world.variant, tmp_path)

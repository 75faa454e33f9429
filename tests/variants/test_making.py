"""Making the variants of a whole pipeline."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

import heterosis as hs
from heterosis.pipeline import FUNCTION, LocalCaller, Trace
from heterosis.terms import Exclusion, Variant, VariantSet
from heterosis.terms.errors import UsageError
from heterosis.variants import Judge, make_variants, open_runner
from heterosis.variants.recipes import RECIPES

HERE = [name for name, recipe in RECIPES.items() if ".onnx" in recipe.sources and not recipe.lacking()]
"""What can be made of an ONNX model on this machine."""
AT_ONCE = [name for name in HERE if not RECIPES[name].instead_of]
FEW = ("onnxruntime", "onnxruntime-int8", "onnxruntime-int8-dynamic", "openvino", "openvino-int8")
"""Enough, where it does not matter how many there are."""

Made = tuple[Path, Path, Trace, VariantSet]
Write = Callable[..., Path]
Run = Callable[..., Trace]
Make = Callable[[Path, Path], VariantSet]


@pytest.fixture
def make(traced: Run) -> Make:
    """Traces a pipeline and makes its variants."""

    def make(file: Path, store: Path) -> VariantSet:
        pipeline = hs.load_pipeline(file)
        return make_variants(pipeline, traced(pipeline), store)

    return make


@pytest.fixture
def few() -> Iterator[None]:
    """Leave only the few recipes."""
    every = dict(RECIPES)
    for name in set(RECIPES) - set(FEW):
        del RECIPES[name]
    yield
    RECIPES.clear()  # their order counts
    RECIPES.update(every)


def reasons(variants: VariantSet) -> dict[str, str]:
    """Return why each variant of the stage `classify` was excluded."""
    return {exclusion.name: exclusion.reason for exclusion in variants.excluded if exclusion.stage == "classify"}


def test_the_first_variant_is_the_first_model_as_it_is(made: Made) -> None:
    """The reference is the model's own file, on onnxruntime, in its own precision."""
    file, _, _, variants = made
    reference = variants.reference("classify")
    assert reference.name == "big/onnxruntime-fp32"
    assert reference.artifact == str(file.parent / "big.onnx")
    assert reference.accuracy == variants.reference_accuracy == 1.0


def test_every_recipe_makes_a_variant_of_every_model(made: Made) -> None:
    """Nothing that can be made is missing, and names are unique."""
    _, _, _, variants = made
    names = [variant.name for variant in variants.of("classify")]
    kinds = [(RECIPES[name].engine, RECIPES[name].precision or "fp32") for name in AT_ONCE]
    assert {("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("openvino", "fp16"), ("openvino", "int8")} < set(kinds)
    wanted = [f"{model}/{engine}-{precision}" for model in ("big", "noisy") for engine, precision in kinds]
    refused = [name for name, reason in reasons(variants).items() if "bfloat16" in reason]
    assert names == [name for name in wanted if name not in refused]


def test_a_stage_without_models_has_one_variant(made: Made) -> None:
    """It stands for the stage's own code, which any planner must place too."""
    _, _, _, variants = made
    (only,) = variants.of("cut")
    assert (only.model, only.engine, only.precision, only.artifact) == (FUNCTION, FUNCTION, "any", "")
    assert only.accuracy == variants.reference_accuracy


def test_every_variant_runs_and_has_its_size(made: Made) -> None:
    """What is listed can be opened with any number of threads, and takes space."""
    file, _, seen, variants = made
    stages = {stage.name: stage for stage in hs.load_pipeline(file).stages}
    for variant in variants.variants:
        if variant.stage == "rare":
            continue
        runner = open_runner(stages[variant.stage], variant, threads=1)
        results = runner.run(seen.inputs[variant.stage][:3])
        runner.close()
        assert not any(isinstance(result, Exception) for result in results)
        assert (variant.size_bytes > 0) == (variant.engine != FUNCTION)


def test_accuracy_is_the_pipelines_own(made: Made, traced: Run) -> None:
    """It equals what running the pipeline by hand with that variant, and counting, gives."""
    file, _, _, variants = made
    pipeline = hs.load_pipeline(file)
    stages = {stage.name: stage for stage in pipeline.stages}
    for variant in variants.of("classify"):
        caller = LocalCaller({"classify": open_runner(stages["classify"], variant, threads=1)})
        results = traced(pipeline, caller).results
        caller.close()
        right = [pipeline.score(result, s.truth) for result, s in zip(results, pipeline.load_samples(), strict=True)]
        assert variant.accuracy == pytest.approx(sum(right) / len(right))


def test_reduced_precision_keeps_most_of_the_accuracy(made: Made) -> None:
    """Calibrated on what the stage really gets, 8 bits agree with the model almost always; another model does not."""
    _, _, _, variants = made
    accuracy = {variant.name: variant.accuracy or 0.0 for variant in variants.of("classify")}
    assert accuracy["big/onnxruntime-int8"] >= 0.9
    assert accuracy["big/onnxruntime-int8-dynamic"] >= 0.9
    assert accuracy["big/openvino-int8"] >= 0.9
    assert accuracy["big/openvino-fp32"] == 1.0
    assert 0.5 <= accuracy["noisy/onnxruntime-fp32"] < 0.9


def test_the_second_time_takes_a_moment(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built and nothing is run: all is found in the store."""
    file, store, seen, variants = made
    monkeypatch.setattr(Judge, "_judge", None)
    monkeypatch.setattr(subprocess, "Popen", None)
    started = time.process_time()
    again = make_variants(hs.load_pipeline(file), seen, store)
    assert time.process_time() - started < 2
    assert again == variants


def test_a_stage_that_no_sample_calls_keeps_its_reference_alone(made: Made) -> None:
    """Nothing is known of the accuracy of anything else."""
    _, _, _, variants = made
    assert [variant.name for variant in variants.of("rare")] == ["only/onnxruntime-fp32"]
    told = [exclusion.reason for exclusion in variants.excluded if exclusion.stage == "rare"]
    assert len(told) == 2 * len(AT_ONCE) - 1
    assert all("no sample of the pipeline calls this stage" in reason for reason in told)


@pytest.mark.usefixtures("few")
def test_progress_moves_from_nothing_to_all(write_pipeline: Write, tmp_path: Path, traced: Run) -> None:
    """Steps are told in order, none beyond the total."""
    file = write_pipeline(tmp_path / "pipeline", models='{"big": "big.onnx"}')
    told: list[tuple[str, int, int]] = []
    pipeline = hs.load_pipeline(file)
    make_variants(pipeline, traced(pipeline), tmp_path / "store", progress=lambda *step: told.append(step))
    assert told[0] == ("judging tiles with its reference models", 0, 3 * len(FEW))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert all(done < total for _, done, total in told)
    assert any(what.startswith("judging classify big/openvino-int8") for what, _, _ in told)


@pytest.mark.usefixtures("few")
def test_useless_models_are_excluded_with_reasons(write_pipeline: Write, tmp_path: Path, make: Make) -> None:
    """Infinite output, a model that does not fit, too little accuracy: each is told, and nothing is made of it."""
    models = '{"big": "big.onnx", "broken": "broken.onnx", "large": "large.onnx", "random": "random.onnx"}'
    variants = make(write_pipeline(tmp_path / "pipeline", models=models), tmp_path / "store")
    told = reasons(variants)
    assert {variant.model for variant in variants.of("classify")} == {"big"}
    assert told["broken/onnxruntime-fp32"] == (
        "the output of classify has NaN or infinity in it, the reference's has not"
    )
    assert "sample 1 of 24: stage 'classify' failed" in told["large/onnxruntime-fp32"]
    assert "[1, 3, 16, 16], wanted [-1, 3, 64, 64]" in told["large/onnxruntime-fp32"]
    assert "less than 0.5" in told["random/onnxruntime-fp32"]
    assert told["random/openvino-int8"].startswith(
        "not made, since random/onnxruntime-fp32 is excluded: the pipeline's"
    )
    assert len(list((tmp_path / "store" / "variants").iterdir())) == len(FEW) - 1


def test_min_accuracy_may_be_asked_for(made: Made) -> None:
    """It stands in for the SLO's, and takes effect without anything being made again."""
    file, store, seen, variants = made
    strict = make_variants(hs.load_pipeline(file), seen, store, min_accuracy=0.95)
    kept = [variant for variant in variants.of("classify") if (variant.accuracy or 0.0) >= 0.95]
    assert list(strict.of("classify")) == kept
    assert len(kept) < len(variants.of("classify"))


def test_without_truth_the_references_answer_is_the_measure(
    made: Made, write_pipeline: Write, tmp_path: Path, make: Make
) -> None:
    """The reference agrees with itself; another variant agrees as often as where that was the truth."""
    _, store, _, told = made
    untold = make(write_pipeline(tmp_path / "untold", truth=False), store)
    assert untold.reference_accuracy == 1.0
    assert [v.accuracy for v in untold.of("classify")] == [v.accuracy for v in told.of("classify")]


def test_references_below_the_floor_are_refused(write_pipeline: Write, tmp_path: Path, make: Make, traced: Run) -> None:
    """Then no plan could meet the SLO; the error says by how much."""
    models = '{"noisy": "noisy.onnx"}'
    big = write_pipeline(tmp_path / "pipeline")
    truths = traced(hs.load_pipeline(big)).results
    file = write_pipeline(tmp_path / "pipeline", models=models, floor="0.99", truth=False)
    file = file.rename(file.with_name("strict_tiles.py"))
    file.write_text(file.read_text().replace("truth=None", f"truth={truths}[number]"))
    with pytest.raises(UsageError, match=r"accuracy of 0\.\d+ with its reference models, less than the 0.99"):
        make(file, tmp_path / "store")


def test_references_that_fail_are_refused(write_pipeline: Write, made: Made, tmp_path: Path) -> None:
    """The error names the sample and the stage."""
    file = write_pipeline(tmp_path / "pipeline", models='{"large": "large.onnx"}', truth=False)
    with pytest.raises(UsageError, match="fails with its reference models: sample 1 of 24: stage 'classify' failed"):
        make_variants(hs.load_pipeline(file), made[2], tmp_path / "store")


def test_a_file_that_is_no_model_is_named(write_pipeline: Write, made: Made, tmp_path: Path) -> None:
    """The error says which file."""
    file = write_pipeline(tmp_path / "pipeline", truth=False)
    (tmp_path / "pipeline" / "noisy.onnx").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match=r"noisy\.onnx is no ONNX model"):
        make_variants(hs.load_pipeline(file), made[2], tmp_path / "store")


def test_a_missing_engine_is_told(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenVINO the other variants remain, and the exclusions say what to install."""
    file, store, seen, variants = made
    version = metadata.version

    def without_openvino(package: str) -> str:
        if package == "openvino":
            raise metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(metadata, "version", without_openvino)
    fewer = make_variants(hs.load_pipeline(file), seen, store)
    assert fewer.of("classify") == tuple(v for v in variants.of("classify") if v.engine == "onnxruntime")
    told = {exclusion.name: exclusion for exclusion in fewer.excluded}
    assert told["openvino-int8"].stage == "every stage"
    assert told["openvino-int8"].reason == "openvino is not installed; pip install heterosis[openvino]"


def test_models_that_are_quantised_already_are_taken_as_they_are(
    made: Made, write_pipeline: Write, tmp_path: Path, make: Make
) -> None:
    """Their own precision is named, and no other is made of them."""
    _, _, _, variants = made
    (quantised,) = (v for v in variants.of("classify") if v.name == "big/onnxruntime-int8")
    file = write_pipeline(tmp_path / "pipeline", models='{"small": "small.onnx"}', truth=False)
    shutil.copy(quantised.artifact, tmp_path / "pipeline" / "small.onnx")
    names = [variant.name for variant in make(file, tmp_path / "store").of("classify")]
    assert names == ["small/onnxruntime-int8", "small/openvino-int8"]


def by_name(variants: VariantSet) -> dict[str, Variant]:
    """Return the variants of the stage `classify`."""
    return {variant.name: variant for variant in variants.of("classify")}


@pytest.mark.usefixtures("few")
def test_digests_follow_what_a_variant_is_made_of(
    made: Made, write_pipeline: Write, tmp_path: Path, make: Make
) -> None:
    """Other calls change what was calibrated with them, and only that; another model changes all."""
    file, store, seen, variants = made
    calls = [(tile * np.float32(1.5),) for (tile,) in seen.inputs["classify"]]
    other = Trace(graph=seen.graph, inputs={**seen.inputs, "classify": calls}, results=seen.results)
    after = by_name(make_variants(hs.load_pipeline(file), other, store))
    before = {name: variant for name, variant in by_name(variants).items() if name in after}
    changed = {name for name in before if before[name].digest != after[name].digest}
    calibrated = [RECIPES[name] for name in FEW if RECIPES[name].calibrated]
    assert changed == {f"{m}/{recipe.engine}-{recipe.precision}" for m in ("big", "noisy") for recipe in calibrated}
    file = write_pipeline(tmp_path / "pipeline")
    model = onnx.load(tmp_path / "pipeline" / "noisy.onnx")
    model.graph.initializer[0].raw_data = bytes(reversed(model.graph.initializer[0].raw_data))
    onnx.save(model, tmp_path / "pipeline" / "noisy.onnx")
    after = {**before, **by_name(make(file, store))}
    changed = {name for name in before if before[name].digest != after[name].digest}
    assert all(name.startswith("noisy/") for name in changed)


@pytest.mark.usefixtures("few")
def test_changed_code_is_judged_again(write_pipeline: Write, tmp_path: Path, make: Make) -> None:
    """Artifacts are found again, but accuracy is the new code's."""
    file = write_pipeline(tmp_path / "pipeline", models='{"big": "big.onnx"}')
    before = make(file, tmp_path / "store")
    folders = set((tmp_path / "store" / "variants").iterdir())
    worse = file.with_name("worse_tiles.py")
    worse.write_text(file.read_text().replace("return int(scores.argmax())", "return min(5, int(scores.argmax()))"))
    after = make(worse, tmp_path / "store")
    assert set((tmp_path / "store" / "variants").iterdir()) == folders
    assert [v.digest for v in after.of("classify")] == [v.digest for v in before.of("classify")]
    assert after.reference_accuracy is not None
    assert after.reference_accuracy < 1.0


RUN = """
import asyncio, sys
from pathlib import Path
import heterosis as hs
from heterosis.pipeline import trace
from heterosis.variants import make_variants
from heterosis.variants.recipes import RECIPES

for name in set(RECIPES) - set(sys.argv[3:]):
    del RECIPES[name]
pipeline = hs.load_pipeline(sys.argv[1])
seen = asyncio.run(trace(pipeline, pipeline.load_samples()))
make_variants(pipeline, seen, Path(sys.argv[2]), progress=lambda what, *_: print(what, flush=True))
"""


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interruption_leaves_nothing_half_made(
    how: signal.Signals, write_pipeline: Write, tmp_path: Path, make: Make
) -> None:
    """Whatever stands in the store is whole, its makers are gone, and the next run goes on from there."""
    file = write_pipeline(tmp_path / "pipeline", models='{"big": "big.onnx"}')
    store = tmp_path / "store"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", RUN, str(file), str(store), *FEW],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("converting models") and f"{len(FEW) - 1} to go" not in line:
                break
        builders = psutil.Process(process.pid).children()
        os.kill(process.pid, how)
    assert builders
    _, alive = psutil.wait_procs(builders, timeout=20)
    assert not alive
    left = list((store / "variants").iterdir())
    for folder in left:
        if not folder.name.startswith("."):
            whole = ({*recipe.artifacts} for recipe in RECIPES.values())
            assert {path.name for path in folder.iterdir() if path.suffix != ".bin"} in whole
    if how is signal.SIGINT:
        assert not [folder for folder in left if folder.name.startswith(".")]
    again = make(file, store)
    assert len(again.of("classify")) + len(reasons(again)) == len(FEW)
    assert not list((store / "variants").glob(".*"))


def test_exclusions_name_stage_and_variant(made: Made) -> None:
    """Each can be told from every other."""
    _, _, _, variants = made
    assert all(isinstance(exclusion, Exclusion) and exclusion.reason for exclusion in variants.excluded)
    named = [(exclusion.stage, exclusion.name) for exclusion in variants.excluded]
    assert len(set(named)) == len(named)

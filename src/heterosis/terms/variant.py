"""Variants: the artifacts that one stage's model can run as."""

from collections.abc import Mapping

import msgspec


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact of a stage's model.

    ``artifact`` is the path of the file that the engine loads, ``digest`` the SHA-256 of what it was made from and how.
    ``accuracy`` (0..1) is the pipeline's, end to end on its samples, with this variant in its stage and the reference
    variant in every other; None where the pipeline has no samples to judge by. Intervals are of 95 % confidence.
    """

    stage: str
    model: str
    """Which of the stage's models (sizes of one task) this is made from."""
    engine: str
    precision: str
    artifact: str
    digest: str
    accuracy: float | None = None
    size_bytes: int = 0
    accuracy_interval: tuple[float, float] | None = None
    accuracy_change: tuple[float, float] | None = None
    """Interval of the difference from the reference's accuracy, paired by samples."""
    scores: Mapping[str, float] = {}
    """What the stage's own ``score`` measures, such as recall, against the reference's result of the same call."""
    note: str = ""
    """How it was made, where there was a choice."""

    def __hash__(self) -> int:
        """By what makes it another variant: ``scores`` cannot be hashed."""
        return hash((self.stage, self.model, self.engine, self.precision, self.digest))

    @property
    def name(self) -> str:
        """Unique in its stage, for example ``small/onnxruntime-int8``."""
        return f"{self.model}/{self.engine}-{self.precision}"


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that was made, or tried, and kept out of the plan, with the reason."""

    stage: str
    name: str
    reason: str


class VariantSet(msgspec.Struct, frozen=True, kw_only=True):
    """All variants of a pipeline, each stage's reference first, and those kept out."""

    pipeline: str
    variants: tuple[Variant, ...]
    excluded: tuple[Exclusion, ...] = ()
    reference_accuracy: float | None = None

    def of(self, stage: str) -> tuple[Variant, ...]:
        """The variants of one stage, reference first."""
        return tuple(variant for variant in self.variants if variant.stage == stage)

    def reference(self, stage: str) -> Variant:
        """The variant that accuracy is judged against where the truth is unknown."""
        return self.of(stage)[0]

"""Variants."""

from heterosis.terms import Variant


def test_a_variant_with_scores_can_be_a_key() -> None:
    """Profiles and plans look things up by it, scores or not."""
    one, same, other = (
        Variant(stage="s", model="m", engine="e", precision=precision, artifact="", digest="d", scores={"recall": 0.9})
        for precision in ("fp32", "fp32", "int8")
    )
    assert {one: 1}[same] == 1
    assert len({one, same, other}) == 2

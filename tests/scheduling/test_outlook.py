"""What our policy has learnt, and does in consequence."""

import pytest

from heterosis.scheduling.outlook import Outlook


@pytest.mark.parametrize(
    ("without", "at_risk", "tried"),
    [
        (None, False, {"pays": True, "others": True}),
        (None, True, {"pays": True, "others": False}),
        ("fairness", True, {"pays": False, "others": False}),
        ("last_chance", False, {"pays": False, "others": False}),
    ],
)
def test_with_the_slo_at_risk_only_a_class_that_pays_for_others_is_tried_unsurely(
    without: str | None,
    at_risk: bool,  # noqa: FBT001
    tried: dict[str, bool],
) -> None:
    """It misses more deadlines than they do."""
    outlook = Outlook(without)
    for number in range(100):
        outlook.fairness.note("pays", missed=number % 2 == 0)
        outlook.fairness.note("others", missed=number % 10 == 0)
    outlook.at_risk = at_risk
    assert {name: outlook.tries(name) for name in tried} == tried

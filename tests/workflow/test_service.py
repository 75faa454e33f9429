"""A plan is checked before anything is started for it."""

import pytest

from heterosis.scheduling.policies import POLICIES
from heterosis.terms.errors import UsageError
from heterosis.testing import make_plan
from heterosis.workflow.service import with_policy


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plan_can_be_given_another_policy(policy: str) -> None:
    """Everything else stays."""
    assert with_policy(make_plan({"a": 1.0}), policy) == make_plan({"a": 1.0}, policy=policy)


def test_an_unknown_policy_is_named_with_those_that_there_are() -> None:
    """The message lists them."""
    with pytest.raises(UsageError, match=r"no policy 'wishful'; there are: .*heterosis"):
        with_policy(make_plan({"a": 1.0}), "wishful")

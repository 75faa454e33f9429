"""Workers from outside in a plan."""

import pytest

from heterosis.launch.control import Offer
from heterosis.launch.gate import OUTSIDE
from heterosis.serving.guests import with_guest, without_guest
from heterosis.terms.errors import UsageError
from heterosis.terms.joining import qualified
from heterosis.testing import make_plan

PLAN = qualified(make_plan({"read": 10.0, "spell": 5.0}), "doc")
READ = PLAN.stage("doc/read").variant
HERE = next(each.configuration for each in PLAN.placements if each.configuration.stage == "doc/read")


def offer(digest: str = READ.digest, stage: str = "read", device_type: str = "board") -> Offer:
    """Offer a variant."""
    return Offer(token="", worker="shed", stage=stage, digest=digest, device_type=device_type, threads=1)


def test_an_instance_more_of_the_same_variant() -> None:
    """It is a configuration of its own, expected to take what the variant takes here; all else stays."""
    changed = with_guest(PLAN, offer())
    *before, guest = changed.placements
    assert tuple(before) == PLAN.placements
    assert (guest.instance, guest.node, guest.device) == ("doc/read-at-shed", "shed", OUTSIDE)
    assert guest.configuration.device_type == "board"
    assert guest.slots == ()
    own = [point for point in changed.points if point.configuration == guest.configuration]
    like = [point for point in PLAN.points if point.configuration == HERE]
    assert [(point.batch, point.latency) for point in own] == [(point.batch, point.latency) for point in like]


def test_known_points_stay_as_they_are() -> None:
    """A worker on the server's own kind of device adds none."""
    assert with_guest(PLAN, offer(device_type=HERE.device_type)).points == PLAN.points


@pytest.mark.parametrize(("digest", "stage"), [("other", "read"), (READ.digest, "hear")])
def test_what_no_stage_runs_is_refused(digest: str, stage: str) -> None:
    """With what the plan runs instead."""
    with pytest.raises(UsageError, match=rf"no stage '{stage}' .* it runs: doc/read .*, doc/spell"):
        with_guest(PLAN, offer(digest, stage))


def test_who_leaves_takes_its_instances_along() -> None:
    """And nobody else's."""
    changed = with_guest(PLAN, offer())
    assert without_guest(changed, "shed").placements == PLAN.placements
    assert without_guest(changed, "somebody else").placements == changed.placements

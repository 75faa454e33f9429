"""What a call costs where."""

from types import SimpleNamespace
from typing import Any

import pytest

from heterosis.scheduling.lister import cheapest
from heterosis.scheduling.listing import Offer
from heterosis.scheduling.outlook import Outlook
from heterosis.scheduling.state import CallRecord
from heterosis.terms import Call, Configuration, Request

SHORT, WIDE = (
    Configuration(stage="classify", variant=name, device_type="gpu", threads=1) for name in ("accurate", "fast")
)


@pytest.mark.parametrize(("busy", "chosen"), [(0.5, SHORT), (1.0, WIDE)])
def test_in_a_crowd_a_call_is_charged_its_own_share_of_a_full_batch(busy: float, chosen: Configuration) -> None:
    """A batch of 16 takes longer than one of 8, and yet less for each call; with little to do, a call is alone."""
    outlook = Outlook(without=None)
    outlook.busy = busy
    view: Any = SimpleNamespace(
        capacity=SimpleNamespace(max_batch={SHORT: 8, WIDE: 16}),
        queues={"classify": SimpleNamespace(waiting=40)},
        estimates=SimpleNamespace(joules=lambda *_: None),
    )
    offers = [
        Offer(configuration, 1.0, 0.0, mean_s, mean_s, share=1 / outlook.items(view, configuration, 1))
        for configuration, mean_s in [(SHORT, 0.037), (WIDE, 0.049)]
    ]
    request = Request(id="r", pipeline="toy", arrival=0.0, deadline=0.2)
    record = CallRecord(Call(id="r/0", request="r", stage="classify"), request)
    found = cheapest(outlook, view, offers, 0.2, record)
    assert found is not None
    assert found.configuration == chosen

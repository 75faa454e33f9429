"""Mixed variants: every class comes to the accuracy that was planned for it."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heterosis.scheduling.mixing import CREDIT, Mixing
from heterosis.terms import Configuration

ACCURATE, QUICK = (
    Configuration(stage="read", variant=name, device_type="cpu", threads=1) for name in ("accurate", "quick")
)
ACCURACY = {ACCURATE: 0.98, QUICK: 0.8}
PLANNED = {"": 0.9, "gold": 0.97}


def view() -> Any:
    """A plan that mixes two variants, with a class of its own floor."""
    capacity = SimpleNamespace(
        configurations={"read": (QUICK, ACCURATE)},
        least_accuracy={"read": PLANNED[""]},
        class_accuracy={("read", "gold"): PLANNED["gold"]},
        accuracy=ACCURACY,
    )
    return SimpleNamespace(capacity=capacity)


def call(request_class: str) -> Any:
    """A call of a class."""
    return SimpleNamespace(call=SimpleNamespace(stage="read"), request=SimpleNamespace(request_class=request_class))


@given(st.lists(st.sampled_from(["gold", "silver", "bronze"]), max_size=400))
def test_each_class_comes_to_what_was_planned_for_it(classes: list[str]) -> None:
    """Though each call takes the quickest variant that it may; those without a floor of their own share one account."""
    mixing = Mixing()
    served: dict[str, list[float]] = {"": [], "gold": []}
    for each in classes:
        chosen = mixing.allowed(view(), call(each))[0]
        assert mixing.may_run(view(), call(each), chosen)
        mixing.note(view(), chosen, [call(each)])
        served["gold" if each == "gold" else ""].append(ACCURACY[chosen])
    for name, of in served.items():
        assert sum(PLANNED[name] - each for each in of) <= CREDIT + max(PLANNED.values()) - min(ACCURACY.values())


def test_where_nothing_is_accurate_enough_the_most_accurate_runs() -> None:
    """Between two plans, say: a call that no instance may run would wait for nothing."""
    of = view()
    of.capacity.configurations = {"read": (QUICK,)}
    mixing = Mixing()
    for _ in range(50):
        assert mixing.allowed(of, call("gold")) == [QUICK] or mixing.allowed(of, call("gold")) == (QUICK,)
        mixing.note(of, QUICK, [call("gold")])

"""What lies ready to be used again."""

from hypothesis import given
from hypothesis import strategies as st

from heterosis.serving.shelf import Shelf

LAY_BY, TAKE, ASK = "lay by", "take", "ask"


@given(steps=st.lists(st.sampled_from([LAY_BY, TAKE, ASK])))
def test_idle_is_what_was_neither_laid_by_nor_taken_since_that_was_last_taken(steps: list[str]) -> None:
    """A thing that was taken and laid by again is not, though it lies where it lay."""
    shelf = Shelf[int]()
    touched: set[int] = set()
    taken = list(range(len(steps), 0, -1))
    for step in steps:
        if step == LAY_BY:
            touched.add(taken[-1])
            shelf.append(taken.pop())
        elif step == TAKE and shelf:
            latest = shelf[-1]
            assert shelf.take() == latest
            touched.add(latest)
            taken.append(latest)
        elif step == ASK:
            left = [thing for thing in shelf if thing in touched]
            idle = [thing for thing in shelf if thing not in touched]
            assert shelf.take_idle() == idle
            assert shelf == left
            touched.clear()

"""The tables of states are closed: every state can be reached, and no end state is left."""

from heterosis.scheduling.states import CALL_TRANSITIONS, INSTANCE_TRANSITIONS, CallState, InstanceState


def test_every_state_stands_in_its_table() -> None:
    """No state is forgotten."""
    assert {state for pair in CALL_TRANSITIONS for state in pair} == set(CallState)
    assert {state for pair in INSTANCE_TRANSITIONS for state in pair} == set(InstanceState)


def test_a_settled_call_stays_settled() -> None:
    """Done, failed and dropped are ends."""
    ends = {CallState.DONE, CallState.FAILED, CallState.DROPPED}
    assert not any(before in ends for before, _ in CALL_TRANSITIONS)

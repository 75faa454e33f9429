"""Policies, one a file; each file's docstring cites its source and says where it departs from it."""

from collections.abc import Callable

from heterosis.scheduling.policies.earliest_completion import EarliestCompletion
from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.policies.heterosis import Heterosis
from heterosis.scheduling.policies.kairos import Kairos
from heterosis.scheduling.policies.least_laxity import LeastLaxity
from heterosis.scheduling.policies.round_robin import RoundRobin
from heterosis.scheduling.policies.slack import Slack
from heterosis.scheduling.policies.synergai import SynergAI
from heterosis.scheduling.policy import Policy

POLICIES: dict[str, Callable[[], Policy]] = {
    "earliest_completion": EarliestCompletion,
    "fcfs": Fcfs,
    "heterosis": Heterosis,
    "kairos": Kairos,
    "least_laxity": LeastLaxity,
    "round_robin": RoundRobin,
    "slack": Slack,
    "synergai": SynergAI,
}

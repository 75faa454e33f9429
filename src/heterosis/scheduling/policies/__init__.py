"""Policies, one a file; each file's docstring cites its source and says where it departs from it."""

from collections.abc import Callable

from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.policies.heterosis import Heterosis
from heterosis.scheduling.policy import Policy

POLICIES: dict[str, Callable[[], Policy]] = {"fcfs": Fcfs, "heterosis": Heterosis}

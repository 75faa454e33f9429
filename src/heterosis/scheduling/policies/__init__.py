"""Policies, one a file; each file's docstring cites its source and says where it departs from it."""

from collections.abc import Callable
from functools import partial

from heterosis.scheduling.policies.clockwork import Clockwork
from heterosis.scheduling.policies.drs import Drs
from heterosis.scheduling.policies.earliest_completion import EarliestCompletion
from heterosis.scheduling.policies.fcfs import Fcfs
from heterosis.scheduling.policies.governors import OnDemand, Performance, Race
from heterosis.scheduling.policies.heterosis import PARTS, Heterosis
from heterosis.scheduling.policies.kairos import Kairos
from heterosis.scheduling.policies.least_laxity import LeastLaxity
from heterosis.scheduling.policies.loki import Dropping, Loki
from heterosis.scheduling.policies.mael import Mael
from heterosis.scheduling.policies.nexus import Nexus
from heterosis.scheduling.policies.pard import Pard
from heterosis.scheduling.policies.pslo_mael import PsloMael
from heterosis.scheduling.policies.round_robin import RoundRobin
from heterosis.scheduling.policies.slack import Slack
from heterosis.scheduling.policies.slack_joules import SlackJoules
from heterosis.scheduling.policies.slo_mael import SloMael, last, summed
from heterosis.scheduling.policies.synergai import SynergAI
from heterosis.scheduling.policy import Policy
from heterosis.terms.errors import UsageError

POLICIES: dict[str, Callable[[], Policy]] = {
    "clockwork": Clockwork,
    "drs": Drs,
    "earliest_completion": EarliestCompletion,
    "fcfs": Fcfs,
    "governor:ondemand": OnDemand,
    "governor:performance": Performance,
    "governor:race": Race,
    "heterosis": Heterosis,
    **{f"heterosis:without_{part}": partial(Heterosis, part) for part in PARTS},
    "kairos": Kairos,
    "least_laxity": LeastLaxity,
    "loki": Loki,
    "loki:last_task": partial(Loki, Dropping.LAST_TASK),
    "loki:none": partial(Loki, Dropping.NONE),
    "loki:opportunistic": partial(Loki, Dropping.OPPORTUNISTIC),
    "loki:per_task": partial(Loki, Dropping.PER_TASK),
    "mael": Mael,
    "nexus": Nexus,
    "pard": Pard,
    "pslo_mael": PsloMael,
    "round_robin": RoundRobin,
    "slack": Slack,
    "slack:joules": SlackJoules,
    "slo_mael": SloMael,
    "slo_mael:as-published": partial(SloMael, last),
    "slo_mael:greedy": partial(SloMael, summed, chunk=1),
    "slo_mael:summed": partial(SloMael, summed),
    "synergai": SynergAI,
    "synergai:least-energy": partial(SynergAI, least_energy=True),
}
"""What makes each policy, by name; a variant of one stands as ``policy:variant``."""


WORK_CONSERVING = frozenset({"fcfs", "least_laxity"})
"""Policies that never leave an instance idle while a call that it could run waits."""


def successor(before: Policy, name: str) -> Policy:
    """Make the policy of a new plan. One of the same kind as before takes over what that has learnt of the load."""
    policy = make_policy(name)
    inherit = getattr(policy, "inherit", None)
    if inherit is not None and type(policy) is type(before):
        inherit(before)
    return policy


def make_policy(name: str) -> Policy:
    """Make a policy by its name. ``drs:200`` is `Drs` with that threshold. Raise UsageError where there is none."""
    if name in POLICIES:
        return POLICIES[name]()
    kind, _, threshold = name.partition(":")
    if kind == "drs" and threshold.isdecimal():
        return Drs(int(threshold))
    raise UsageError(f"no policy {name!r}; there are: {', '.join(POLICIES)}, drs:THRESHOLD")

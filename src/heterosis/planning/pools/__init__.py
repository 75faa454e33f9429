"""Which machines to rent: pools within a budget, or for a rate; KAIROS' rules, and ours."""

from heterosis.planning.pools.cheapest import cheapest_first
from heterosis.planning.pools.enumeration import Pool, cost, pools_within
from heterosis.planning.pools.kairos import TOP, Rates, medoid, ranked, rates_of, upper_bound
from heterosis.planning.pools.load import Load, Upkeep, least_upkeep
from heterosis.planning.pools.scarcity import Scarcity
from heterosis.planning.pools.search import OPTIMISM, Search, Trial, search
from heterosis.planning.pools.strongest import strongest_first

__all__ = [
    "OPTIMISM",
    "TOP",
    "Load",
    "Pool",
    "Rates",
    "Scarcity",
    "Search",
    "Trial",
    "Upkeep",
    "cheapest_first",
    "cost",
    "least_upkeep",
    "medoid",
    "pools_within",
    "ranked",
    "rates_of",
    "search",
    "strongest_first",
    "upper_bound",
]

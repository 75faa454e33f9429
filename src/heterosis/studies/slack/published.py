"""The published figures that the setting is built from, each with its source, and the claim of the paper.

Nothing here was measured by us, and nothing is adjusted; what is modelled from these figures stands in `servers`.
Times of the functions, power by clock and watts of a core at full load are those of `heterosis.studies.synergai`.
"""

from typing import Final

CLAIM: Final = {"energy": 16.0, "violations": 1.8}
"""What Ωkypous (arXiv 2407.18386) claims: per cent less power than the baselines, at so many per cent of violations."""

SPECPOWER: Final = {
    "2004-2009": (0.559, 0.607, 0.663),
    "2010-2012": (0.276, 0.414, 0.464),
    "2016-2018": (0.154, 0.309, 0.363),
    "2019-2024": (0.221, 0.350, 0.404),
}
"""Power idle, at 10 % and at 20 % load, as shares of that at 100 %: medians over the servers of SPECpower_ssj2008 (134,
223, 82 and 147 of them), by the year of the hardware."""

SLEEP_AFTER_S: Final = 600e-6
WAKE_MS: Final = 0.133
"""Package C6 of Skylake-SP and its successors: the target residency and the exit latency in Linux' ``intel_idle``."""

SWITCH_MS: Final = 0.5
"""Intervals at which Haswell-EP takes up a new clock (Hackenberg et al., IPDPSW 2015)."""

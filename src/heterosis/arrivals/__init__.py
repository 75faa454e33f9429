"""When requests arrive: random processes and recorded traces, for the load generator and the simulator alike.

Every function gives ascending moments in seconds from the start of the load; those that draw give the same for the same
seed.
"""

from heterosis.arrivals.bursts import bursts
from heterosis.arrivals.diurnal import diurnal
from heterosis.arrivals.integer_gaps import integer_gaps
from heterosis.arrivals.poisson import poisson, poisson_count
from heterosis.arrivals.surges import surges
from heterosis.arrivals.trace import read_trace, rescaled

__all__ = ["bursts", "diurnal", "integer_gaps", "poisson", "poisson_count", "read_trace", "rescaled", "surges"]

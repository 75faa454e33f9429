"""SLO-MAEL's own setting (TACO'21): one board, three processors, six models, Poisson load beyond and below capacity."""

from heterosis.studies.slo_mael.cell import Row, cell

__all__ = ["Row", "cell"]

"""KAIROS' own setting (HPDC'23): how many queries per second a pool of unlike machines serves within a p99."""

from heterosis.studies.kairos.load import Figures, at_load

__all__ = ["Figures", "at_load"]

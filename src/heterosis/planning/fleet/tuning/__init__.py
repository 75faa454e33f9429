"""Between plans: device counts that follow the arrivals, and when devices without work sleep."""

from heterosis.planning.fleet.tuning.tuner import Retuning, Tuner

__all__ = ["Retuning", "Tuner"]

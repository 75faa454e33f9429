"""SynergAI's setting (TECS'25): one x86 VM and two Jetson boards, on which the policy also chooses configurations."""

from heterosis.studies.synergai.cell import Row, cell

__all__ = ["Row", "cell"]

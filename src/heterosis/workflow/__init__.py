"""From a pipeline file to a plan and a server: trace, variants, profile, plan, each made once and kept in the store."""

from heterosis.workflow.chain import Report, Step, Workflow, silent
from heterosis.workflow.service import Service

__all__ = ["Report", "Service", "Step", "Workflow", "silent"]

"""Runs side by side, as one HTML page that needs nothing else."""

from vaezoo.comparing.runs import ComparedRun, read_runs

__all__ = ["ComparedRun", "read_runs"]

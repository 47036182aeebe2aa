"""Measuring a model."""

from vaezoo.evaluation.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

"""The shared trainer."""

from vaezoo.training.config import TrainingConfig
from vaezoo.training.history import History
from vaezoo.training.trainer import Trainer, fit

__all__ = ["History", "Trainer", "TrainingConfig", "fit"]

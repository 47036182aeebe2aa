"""The shared trainer. Its names are loaded when first used: to read a run takes no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaezoo.training.config import TrainingConfig
    from vaezoo.training.history import History
    from vaezoo.training.trainer import Trainer, fit

__all__ = ["History", "Trainer", "TrainingConfig", "fit"]

_HOME = {"History": "history", "Trainer": "trainer", "TrainingConfig": "config", "fit": "trainer"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vaezoo.training' has no attribute {name!r}")
    return getattr(importlib.import_module(f"vaezoo.training.{_HOME[name]}"), name)

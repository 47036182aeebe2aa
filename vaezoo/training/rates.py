"""The learning rate as a schedule: a function of the step's tensor, like any weight."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vaezoo.schedules import Schedule
from vaezoo.training.config import Resolved


def learning_rate(config: Resolved) -> Schedule:
    """Linear warm-up, then constant, falling to 0 at the last step, or falling at milestones."""
    warmup = config.lr_warmup_steps
    length = max(1, (config.steps or 0) - warmup)  # constant where there is no number of steps

    def rate(step: Tensor) -> Tensor:
        factor = torch.ones((), device=step.device)
        if config.lr_schedule in ("linear", "cosine"):
            done = ((step - warmup).float() / length).clamp(0, 1)
            linear = config.lr_schedule == "linear"
            factor = 1 - done if linear else 0.5 * (1 + torch.cos(math.pi * done))
        elif config.lr_schedule == "step":
            assert config.lr_milestones is not None
            assert config.lr_factor is not None
            for milestone in config.lr_milestones:
                factor = torch.where(step >= milestone, factor * config.lr_factor, factor)
        if warmup:
            factor = factor * ((step + 1).float() / warmup).clamp(max=1)
        return config.learning_rate * factor

    return rate

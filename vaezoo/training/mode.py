"""The state of a model and of the process while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributions import Distribution

from vaezoo.inference import forked_generators, seed_generators
from vaezoo.model import VAE
from vaezoo.parts import Folded
from vaezoo.training.config import Resolved


@contextmanager
def training(model: VAE, config: Resolved) -> Iterator[None]:
    """The state that training needs, and everything as it was afterwards.

    The model stays on the device that it was trained on, its convolutions as they lie in memory.
    """
    device = torch.device(config.device)
    model.to(device)
    model.objective.to(device)
    modules = [*model.modules(), *model.objective.modules()]
    for module in modules:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)
    folded = [module for module in modules if isinstance(module, Folded)]
    modes = {module: module.training for module in modules}
    validating = Distribution._validate_args  # there is no public getter
    with forked_generators(device):
        seed_generators(config.seed, device)
        model.train()
        model.objective.train()
        for f in folded:
            f.autocast, f.recompute = config.autocast, config.recompute
        try:
            yield
        finally:
            for f in folded:
                f.autocast, f.recompute = None, False
            for module, mode in modes.items():
                module.training = mode
            # torch.compile switches validation off for the whole process when first used.
            Distribution.set_default_validate_args(validating)

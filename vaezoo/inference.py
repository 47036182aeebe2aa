"""How the methods of a model run: in eval mode, without gradient, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from vaezoo.integers import whole

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=nn.Module)

CHUNK = 1024  # examples


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """In eval mode and without gradient; every submodule's mode is restored afterwards."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, mode in modes.items():
            m.training = mode


def inference(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Run a model's method under ``evaluating``."""

    @wraps(method)
    def run(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with evaluating(self):
            return method(self, *args, **kwargs)

    return run


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draw from ``seed`` and leave the caller's random state untouched; None: do nothing."""
    if seed is None:
        yield
        return
    seed = whole(seed, "seed")
    with forked_generators(device):
        seed_generators(seed, device)
        yield


@contextmanager
def forked_generators(device: torch.device) -> Iterator[None]:
    """Leave the caller's random state, on the CPU and on ``device``, as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the CPU's generator and the device's. (torch.manual_seed seeds every GPU there is.)"""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def chunks(
    x: Tensor, y: Tensor | None, size: int = CHUNK
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """x and y in pieces of at most ``size`` examples."""
    for start in range(0, len(x), max(size, 1)):
        piece = slice(start, start + size)
        yield x[piece], None if y is None else y[piece]

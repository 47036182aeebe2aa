"""The process's settings and random state, which belong to the caller and to no variant."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution


def _cudnn(name: str) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    return (
        lambda: getattr(torch.backends.cudnn, name),
        lambda value: setattr(torch.backends.cudnn, name, value),
    )


SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (torch.get_default_device, torch.set_default_device),
    "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "torch's anomaly detection": (
        torch.is_anomaly_enabled,
        torch.autograd.set_detect_anomaly,
    ),
    "validation of torch.distributions": (
        lambda: Distribution._validate_args,
        Distribution.set_default_validate_args,
    ),
    "numpy's error handling": (np.geterr, lambda value: np.seterr(**value)),
    "numpy's print options": (np.get_printoptions, lambda value: np.set_printoptions(**value)),
    "torch.backends.cudnn.benchmark": _cudnn("benchmark"),
    "torch.backends.cudnn.deterministic": _cudnn("deterministic"),
}


def settings() -> dict[str, Any]:
    """All settings as they are."""
    return {name: read() for name, (read, _) in SETTINGS.items()}


def changes(before: dict[str, Any]) -> list[str]:
    """Which settings are no longer what they were, in words."""
    after = settings()
    return [
        f"{name} from {before[name]} to {after[name]}"
        for name in before
        if before[name] != after[name]
    ]


@contextmanager
def preserved() -> Iterator[None]:
    """Undo what the body does to the settings and to all random generators.

    One thread inside: the kit's tensors are small, and several threads would wait for each other.
    """
    before = settings()
    own, numpys = random.getstate(), np.random.get_state()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)
        for name, value in settings().items():
            if value != before[name]:
                SETTINGS[name][1](before[name])

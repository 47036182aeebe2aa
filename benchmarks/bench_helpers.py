"""Names that the benchmarks share with their fixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import vaezoo

SIZES: dict[str, Any] = {
    "input_shape": (1, 28, 28),
    "latent_dim": 20,
    "network": {"name": "mlp", "hidden": [400]},
}
CLASSES = 10

MakeModel = Callable[..., vaezoo.VAE]
Report = Callable[..., None]

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    ],
)

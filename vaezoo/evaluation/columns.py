"""How well the columns of a table are reconstructed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.errors import DataError
from vaezoo.model import VAE


def r_squared(model: VAE, batches: Iterable[Batch]) -> Tensor:
    """R² of each column's reconstruction over the examples: (D,), at most 1.

    1 - Σ_n (x_nd - x̂_nd)² / Σ_n (x_nd - x̄_d)², x̂ the mean of p(x|z) at the posterior mean: 0 is
    what the column's mean would reach; NaN for a column of one value. Raises DataError without
    examples.
    """
    originals, means = [], []
    for x, y, _ in batches:
        originals.append(x.flatten(1).double().cpu())
        means.append(model.reconstruct(x, y).flatten(1).double().cpu())
    if not originals:
        raise DataError("there are no examples to reconstruct")
    x, again = torch.cat(originals), torch.cat(means)
    spread = (x - x.mean(0)).square().sum(0)
    error = (x - again).square().sum(0)
    varies = x.amax(0) > x.amin(0)
    return torch.where(varies, 1 - error / spread, torch.nan)

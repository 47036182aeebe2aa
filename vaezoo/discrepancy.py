"""The maximum mean discrepancy between two distributions, from draws (Gretton et al. 2012).

Shapes: n draws of one, m of the other, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.distributions import Normal

from vaezoo.aggregate import factors, flat
from vaezoo.trace import Site

KernelName = Literal["imq", "rbf"]


def rbf(squared: Tensor, scale: float) -> Tensor:
    """exp(-|x - y|² / C), C = ``scale``; it and its gradient vanish where x and y are far."""
    return (-squared / scale).exp()


def imq(squared: Tensor, scale: float) -> Tensor:
    """C / (C + |x - y|²), the inverse multiquadratic, which reaches far."""
    return scale / (scale + squared)


KERNELS: dict[KernelName, Callable[[Tensor, float], Tensor]] = {"imq": imq, "rbf": rbf}


def squared_mmd(x: Tensor, y: Tensor, kernel: KernelName = "imq") -> Tensor:
    """The unbiased estimate of E k(x,x') + E k(y,y') - 2 E k(x,y): x (..., n, D), y (..., m, D)
    -> (...). It is 0 on average, and so at times negative, where both have one distribution.

    The kernel's C is 2 D, the mean squared distance of two draws of N(0, I), as in Tolstikhin et
    al. 2018, section 4.
    """
    scale, k = 2.0 * x.shape[-1], KERNELS[kernel]
    within = sum(_mean_of_pairs(k(squared_distances(a, a), scale)) for a in (x, y))
    return within - 2 * k(squared_distances(x, y), scale).mean((-2, -1))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|²: (..., n, m)."""
    norms = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2)
    return (norms - 2 * x @ y.mT).clamp(min=0)  # rounding may make it negative


def _mean_of_pairs(values: Tensor) -> Tensor:
    """The mean of what is off the diagonal of (..., n, n), each draw with another one."""
    n = values.shape[-1]
    pairs = values.sum((-2, -1)) - values.diagonal(dim1=-2, dim2=-1).sum(-1)
    return pairs / max(n * (n - 1), 1)


def prior_mmd(site: Site, kernel: KernelName = "imq") -> Tensor:
    """The squared MMD of the batch's codes and the prior, unbiased: (K,).

    Of rbf and a factorised normal p(z) the mean over the prior is exact. Else there are as many
    draws of it as codes, which have a gradient where the prior has one to give.
    """
    z, p = flat(site.z, 2), site.p  # (K, B, D)
    normal = factors(p)
    if kernel == "rbf" and type(normal) is Normal and p.batch_shape == ():
        return rbf_mmd_to_normal(z, normal.loc.flatten(), normal.scale.flatten())
    draw = p.rsample if p.has_rsample else p.sample
    drawn = draw(site.z.shape[: 2 - len(p.batch_shape)])  # (K, B, *event)
    return squared_mmd(z, flat(drawn, 2), kernel)


def rbf_mmd_to_normal(x: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """``squared_mmd`` of x (..., n, D) and all of N(mean, diag sigma²), both (D,): (...).

    E exp(-(x - y)²/C) = sqrt(C / (C + 2σ²)) exp(-(x - μ)² / (C + 2σ²)) in each dimension.
    """
    scale, variance = 2.0 * x.shape[-1], sigma.square()
    wide = scale + 2 * variance
    across = ((scale / wide).log() / 2 - (x - mean).square() / wide).sum(-1).exp().mean(-1)
    of_prior = (scale / (scale + 4 * variance)).sqrt().prod()
    return _mean_of_pairs(rbf(squared_distances(x, x), scale)) + of_prior - 2 * across

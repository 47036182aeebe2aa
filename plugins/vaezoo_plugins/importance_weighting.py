"""What the importance-weighted variants share: the weights, and estimators of their gradient.

w_k = p(x,z_k) / q(z_k|x),  z_k ~ q(z|x)

standard   ∇ log 1/K Σ w_k, whole                                        Burda et al. 2016
stl        without the score ∂ log q(z|x) / ∂φ at fixed z                Roeder et al. 2017
dreg       for φ, Σ (w_k/Σw)² (∂ log w_k / ∂z_k) (∂z_k/∂φ)               Tucker et al. 2019

All three have the bound's own value. The score's mean is zero for K = 1, so there stl and dreg are
one, and have the mean gradient of the ELBO; for K > 1 that of stl is another (Tucker et al. 2019),
that of dreg the same. Gradients of p(x|z) and p(z) are as in standard. Both are for one group of
latents: with several, that of one q comes through the draws of another, and needs terms of its own
(Bauer & Mnih 2021, ICML).

B batch; T draws of each example, in M groups of K: draw m·K + k is the k-th of group m.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

import vaezoo
from vaezoo.objectives import Terms, figures

Estimator = Literal["standard", "stl", "dreg"]


def log_mean_exp(log_w: Tensor, dim: int = 0) -> Tensor:
    """log 1/K Σ_k w_k over a dimension of K log-weights."""
    return log_w.logsumexp(dim) - math.log(log_w.shape[dim])


def grouped(log_w: Tensor, k: int) -> Tensor:
    """(T, B) -> (M, K, B) with K = k; of another number of draws, K is what divides both."""
    t = len(log_w)
    return log_w.reshape(-1, math.gcd(t, min(k, t)), *log_w.shape[1:])


def log_weights(
    trace: vaezoo.Trace, estimator: Estimator = "standard", k: int | None = None
) -> Tensor:
    """log w: (T, B), so that the gradient of the mean over groups of k draws (None: one group) of
    ``log_mean_exp`` is the estimator's.

    For dreg, gradients that reach z from now on are multiplied by w/Σw, the sum over its group.

    Raises OptionError for a trace without an exact bound, and for stl and dreg where z is not one
    group of latents, reparameterised.
    """
    if trace.bound != "exact":
        raise vaezoo.OptionError(
            f"importance weights p(x,z) / q(z|x) need a model whose bound on log p(x) is 'exact', "
            f"and that of this one is {trace.bound!r}: train it with another objective"
        )
    if estimator == "standard":
        return trace.log_w
    if len(trace.sites) != 1 or not trace.sites[0].q.has_rsample:
        raise vaezoo.OptionError(
            f"the estimator {estimator!r} is for one group of latents with a reparameterised "
            f"q(z|x), which this model has not: take estimator='standard'"
        )
    (site,) = trace.sites
    if estimator == "stl":
        return trace.log_px + site.log_p - site.log_q_path
    # All of log q's gradient shall come through z, where it is weighed: not through a pass of
    # which q gave log q, nor through what q remembers of z itself.
    z = site.z.clone()
    log_q = site.log_q.detach() + (site.q.log_prob(z) - site.q.log_prob(z.detach()))
    log_w = trace.log_px + site.log_p - log_q
    if site.z.requires_grad:
        share = grouped(log_w.detach(), k or len(log_w)).softmax(1).flatten(0, 1)
        share = share.reshape(*share.shape, *[1] * (site.z.ndim - 2))
        site.z.register_hook(lambda gradient: gradient * share)  # type: ignore[no-untyped-call]
    return log_w


def maximised(name: str, bound: Tensor, trace: vaezoo.Trace) -> Terms:
    """The loss -bound, and the model's penalties, (B,); the bound (B,) is logged as ``name``."""
    loss = -bound
    for penalty in trace.penalties.values():
        loss = loss + penalty
    return Terms(loss, {name: bound.detach(), **figures(trace)})


def at_least_one(**numbers: int) -> None:
    """Raise ValueError for an option that counts less than 1."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, but is {number}")

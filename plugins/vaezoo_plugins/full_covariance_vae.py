"""The VAE with a full covariance (Kingma & Welling 2019, arXiv:1906.02691, section 2.5.1).

q(z|x) = N(μ, L Lᵀ),  L lower triangular: all latents may depend on each other

With a diagonal L it is the VAE.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal

import vaezoo
from vaezoo.heads import Head
from vaezoo.heads.gaussian import bounded
from vaezoo.options import NoOptions


class FullCovariance(Head):
    """N(z; μ, L Lᵀ), L = diag(σ) (I + A/√D): μ (D,), log σ (D,) and what A has below its diagonal
    (D(D-1)/2,) from the network; the rest of A is zero.

    Every L with a positive diagonal is one such. Scaled so, a small σ_i makes its whole row small,
    and the correlations of an untrained network are mild whatever D is.

    Raises OptionError for an event that is no vector.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(event_shape) != 1:
            raise vaezoo.OptionError(
                f"a full covariance is over vectors, and latent_shape is {event_shape}: give "
                f"latent_dim"
            )
        (dim,) = self.event_shape = event_shape
        self.input_shape = (2 * dim + dim * (dim - 1) // 2,)
        rows, columns = torch.tril_indices(dim, dim, -1)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, parameters: Tensor) -> Distribution:
        dim = self.event_shape[0]
        mean, log_diagonal, below = torch.split(parameters, [dim, dim, len(self.rows)], -1)
        sigma = bounded(log_diagonal).exp()
        factor = torch.diag_embed(sigma)
        factor[..., self.rows, self.columns] = sigma[..., self.rows] * below / dim**0.5
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)


@vaezoo.register_kl(MultivariateNormal, Normal)  # type: ignore[no-untyped-call, untyped-decorator]
def _kl(q: MultivariateNormal, p: Normal) -> Tensor:
    """-H(q) - E_q[log p], (B,). Of q, a factorised p sees the means and variances alone."""
    log_p: Tensor = p.log_prob(q.mean) - q.variance / (2 * p.variance)  # type: ignore[no-untyped-call]
    entropy: Tensor = q.entropy()  # type: ignore[no-untyped-call]
    return -entropy - log_p.sum(-1)


def full_covariance_vae(options: NoOptions, parts: vaezoo.Parts) -> vaezoo.VAE:
    encoder = parts.encoder(head=FullCovariance(parts.latent_shape))
    return vaezoo.VAE(encoder, parts.decoder(), parts.prior())

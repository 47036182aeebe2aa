"""The FactorVAE (Kim & Mnih 2018, arXiv:1802.05983).

E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)) - γ KL(q(z) || Π_j q(z_j))                      (eq. 2)
KL(q(z) || Π_j q(z_j)) ≈ E_q(z)[log D(z) / (1 - D(z))]                                     (eq. 3)

The critic D tells draws of q(z) from draws of Π_j q(z_j): a batch of codes, each dimension of
which is permuted over the batch (algorithms 1 and 2). Here D is the sigmoid of one logit, which is
the log density ratio; the paper's two logits have the same functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import vaezoo
from vaezoo.aggregate import check_batch, only_site
from vaezoo.objectives import Weights


@dataclass(frozen=True, kw_only=True)
class Options:
    gamma: float = 35.0
    """Weight of the total correlation of q(z), in nats, beside that which the KL holds; 0 is the
    VAE."""
    critic: tuple[int, ...] = (1000,) * 6
    """Widths of the critic's hidden layers, leaky ReLU with slope 0.2."""
    critic_rate: float = 0.1
    """The critic's learning rate, as a factor of the run's."""

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise ValueError(f"gamma must not be negative, but is {self.gamma}")
        if not self.critic or min(self.critic) < 1:
            raise ValueError(f"critic must hold positive widths, not {self.critic}")
        if self.critic_rate <= 0:
            raise ValueError(f"critic_rate must be positive, not {self.critic_rate}")


class FactorELBO(vaezoo.ELBO):
    """The loss -log p(x|z) + KL + γ c(z), (B,) in nats; c(z) is the critic's logit (eq. 2)."""

    per_example = False  # the critic's loss is one of two halves of a batch

    def __init__(self, dim: int, gamma: float, critic: tuple[int, ...], rate: float = 1.0) -> None:
        super().__init__(None, gamma=gamma)
        self.critic = vaezoo.Folded(nn.Sequential(*layers((dim, *critic))), event_ndim=1)
        self.rate = rate

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        check_batch(batch, "factor-vae")

    def check(self, trace: vaezoo.Trace) -> None:
        only_site(trace, "factor-vae")

    def log_ratio(self, z: Tensor) -> Tensor:
        """The critic's estimate of log q(z) - Σ_j log q(z_j): z (..., D) -> (...)."""
        return self.critic(z).squeeze(-1)  # type: ignore[no-any-return]

    def regularizer(self, trace: vaezoo.Trace, weights: Weights) -> Tensor:
        z = trace.sites[0].z.flatten(2)  # (K, B, D)
        return trace.kl + weights["gamma"] * self.log_ratio(z)

    def criticise(self, model: vaezoo.VAE, batch: vaezoo.Batch, weights: Weights) -> vaezoo.Terms:
        """The critic's own loss, that of a logistic regression: (), in nats.

        The second half of the batch is algorithm 2's second batch, whose permuted codes are
        independent of those of the first.
        """
        with torch.no_grad():
            z = vaezoo.draw(model.encoder(batch.x, batch.y), 1)[0].flatten(1)  # (B, D)
        first, second = z.tensor_split(2)
        judged = self.log_ratio(torch.cat([first, permuted(second)]))
        joint, product = judged[: len(first)], judged[len(first) :]
        loss = (softplus(-joint).mean() + softplus(product).mean()) / 2
        return vaezoo.Terms(loss, {"total_correlation": joint.mean().detach()})

    def phases(self, model: vaezoo.VAE) -> tuple[vaezoo.Phase, ...]:
        critic = vaezoo.Phase("critic", self.criticise, self.critic.parameters(), rate=self.rate)
        return (*super().phases(model), critic)


def permuted(z: Tensor) -> Tensor:
    """Each dimension of z (B, D) in an order of its own (algorithm 1)."""
    return z.gather(0, torch.rand_like(z).argsort(0))


def layers(widths: tuple[int, ...]) -> Iterator[nn.Module]:
    """From D latents to one logit."""
    for inputs, outputs in itertools.pairwise(widths):
        yield from (nn.Linear(inputs, outputs), nn.LeakyReLU(0.2))
    yield nn.Linear(widths[-1], 1)


def factor_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = FactorELBO(parts.latent_dim, options.gamma, options.critic, options.critic_rate)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)

"""The Wasserstein autoencoder with an MMD (Tolstikhin et al. 2018, arXiv:1711.01558).

min E_x[c(x, G(z))] + λ MMD²(q(z), p(z)),  z = f(x)                            (eq. 4, algorithm 2)

The encoder is deterministic, as in the paper's experiments, so there is no KL and no bound on
log p(x). The codes of each x stay apart; only all of them together are brought to the prior, and
so it has samples. c(x, G(z)) is -log p(x|z): with sigma = sqrt(1/2), the default, the paper's
squared error |x - G(z)|² and a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.distributions import Distribution

import vaezoo
from vaezoo.aggregate import check_batch
from vaezoo.discrepancy import KernelName, prior_mmd
from vaezoo.heads import PointMass, PointMassHead
from vaezoo.objectives import Terms, Weights, figures
from vaezoo.trace import Bound, Site

SQUARED_ERROR = {"name": "gaussian", "sigma": "fixed", "value": 0.5**0.5}


@dataclass(frozen=True, kw_only=True)
class Options:
    lambda_mmd: float = 100.0
    """λ, the weight of MMD², which lies in [0, 2], against c(x, G(z)), summed over pixels. Far
    more drowns c in the noise of the estimate, and all codes stay together."""
    kernel: Literal["imq", "rbf"] = "imq"
    """Of squared distances s, with C = 2 latent_dim. imq: C/(C+s), the paper's. rbf: exp(-s/C)."""

    def __post_init__(self) -> None:
        if self.lambda_mmd < 0:
            raise ValueError(f"lambda_mmd must not be negative, but is {self.lambda_mmd}")


class CodeTrace(vaezoo.Trace):
    """A Trace without a KL, hence without sites; its codes, in a Site that has none either."""

    def __init__(self, x: Tensor, px: Distribution, codes: Site, *, bound: Bound) -> None:
        super().__init__(x, px, (), bound=bound)
        self.codes = codes


class WassersteinAutoencoder(vaezoo.VAE):
    """z is the encoder's mean, whatever its spread."""

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> CodeTrace:
        q = PointMass(self.encoder(x, y).mean, len(self.latent_shape))
        z = vaezoo.draw(q, samples)  # (K, B, *latent), K times the same
        codes = Site(q, self.prior(y), z)
        return CodeTrace(x, self.decoder(z, y), codes, bound=self.bound)


class Wasserstein(vaezoo.Objective):
    """The loss -log p(x|z) + λ MMD²(q(z), p(z)) (eq. 4)."""

    per_example = False

    def __init__(self, lambda_mmd: float, kernel: KernelName = "imq") -> None:
        super().__init__(lambda_mmd=lambda_mmd)
        self.kernel: KernelName = kernel

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        check_batch(batch, "wae-mmd")

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        assert isinstance(trace, CodeTrace)
        distance = prior_mmd(trace.codes, self.kernel).mean()  # over prior draws
        loss = -trace.log_px.mean(0) + weights["lambda_mmd"] * distance
        return Terms(loss, {**figures(trace), "mmd": distance.detach()})


def wae_mmd(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    prior = parts.prior()
    require_fixed(prior, "wae-mmd")
    return WassersteinAutoencoder(
        parts.encoder(head=PointMassHead(parts.latent_shape)),
        parts.decoder(likelihood=SQUARED_ERROR),
        prior,
        objective=Wasserstein(options.lambda_mmd, options.kernel),
        bound="none",
    )


def require_fixed(prior: nn.Module, owner: str) -> None:
    """Raise OptionError for a prior with parameters, which a KL would train."""
    if any(parameter.requires_grad for parameter in prior.parameters()):
        raise vaezoo.OptionError(
            f"{owner} has no KL, and brings all codes to a prior that is fixed, but this one has "
            f"parameters: leave prior out, or create 'info-vae' with alpha below 1"
        )

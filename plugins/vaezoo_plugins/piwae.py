"""The partially importance-weighted autoencoder (Rainforth et al. 2018, arXiv:1802.04537).

encoder   ∇ 1/M Σ_m log 1/K Σ_k w_mk                                          (section 5)
the rest  ∇ log 1/(M·K) Σ_m Σ_k w_mk,  w = p(x,z) / q(z|x)

The encoder learns by the bound of the MIWAE, whose gradient has more signal against its noise; the
decoder, and a prior that learns, by the tighter one of the IWAE. The paper takes both gradients of
the same draws. Here each is a phase with draws of its own, the second after the encoder's update:
the draws are others, their number and the law of each gradient are the same. The weights of a draw
differ between the two, so the decoder is passed backwards twice in either case; what is added is
its second pass forwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.objectives import Terms, Weights
from vaezoo_plugins.importance_weighting import at_least_one
from vaezoo_plugins.iwae import IWAE
from vaezoo_plugins.miwae import MIWAE


@dataclass(frozen=True, kw_only=True)
class Options:
    m: int = 4
    """M, groups of draws for each example. Time and memory grow with M·K; the paper has 64."""
    k: int = 4
    """K, draws of a group, which are weighted together for the encoder; for the decoder, all
    M·K are."""

    def __post_init__(self) -> None:
        at_least_one(m=self.m, k=self.k)


class PIWAE(IWAE):
    """The loss of the IWAE, for all but the encoder, whose own is that of the MIWAE, (B,)."""

    def __init__(self, m: int, k: int) -> None:
        super().__init__(m * k)
        self.of_encoder = MIWAE(m, k)

    def encoder_loss(self, model: vaezoo.VAE, batch: vaezoo.Batch, weights: Weights) -> Terms:
        trace = model(batch.x, batch.y, self.samples)
        terms = self.of_encoder.score(trace, weights)
        return Terms(terms.loss, {"miwae": terms.logs["miwae"]})

    def phases(self, model: vaezoo.VAE) -> tuple[vaezoo.Phase, ...]:
        encoder = [*model.encoder.parameters()]
        rest = [p for p in model.parameters() if p not in {*encoder}]
        return (
            vaezoo.Phase("encoder", self.encoder_loss, encoder),
            vaezoo.Phase("decoder", self.loss, rest),
        )


def piwae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = PIWAE(options.m, options.k)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)

"""The ladder VAE (Sønderby, Raiko, Maaløe, Sønderby & Winther 2016, arXiv:1602.02282).

p(x,z) = p(x|z_1) Π_i p(z_i|z_{i+1}) p(z_L),  q(z|x) = q(z_L|x) Π_i q(z_i|z_{i+1},x)

What x says of each level, N(μ̂_i, σ̂_i²), comes from one pass up. On the way down it is multiplied
by the level's prior, so that q corrects p as far as x knows better:

q(z_i|z_{i+1},x) ∝ N(z_i; μ̂_i(x), σ̂_i²(x)) p(z_i|z_{i+1}),  i < L;  q(z_L|x) = N(μ̂_L, σ̂_L²)
σ_i² = 1 / (σ̂_i⁻² + σ_p⁻²),  μ_i = (μ̂_i σ̂_i⁻² + μ_p σ_p⁻²) σ_i²                     (eqs. 17-19)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import relu

import vaezoo
from vaezoo.heads import PointMassHead, PredictedSigma
from vaezoo.heads.gaussian import normal
from vaezoo.networks.mlp import MLP, mlp
from vaezoo.objectives import Weights
from vaezoo.schedules import warmup


@dataclass(frozen=True, kw_only=True)
class Options:
    lower_dims: tuple[int, ...] = (64, 32)
    """How many numbers z holds at each level below the top, from the data up; latent_dim is the
    top's. () is one level: a VAE."""
    features: int = 256
    """Width of what the levels are told of x: d_1 next to the data, d_2 above it, and so on."""
    warmup_steps: int = 1000
    """Steps over which the KL's weight rises linearly from 0 to 1, without which levels stay
    unused. The paper has a tenth of the run, 200 of 2,000 epochs."""
    free_bits: float = 0.0
    """Nats of KL that each level may have at no cost, on average over a batch (Kingma et al.
    2016, eq. 15, a level being a group); figures show the whole KL."""

    def __post_init__(self) -> None:
        if min((self.features, *self.lower_dims)) < 1:
            raise ValueError(
                f"features and lower_dims must be positive, not {self.features} and "
                f"{self.lower_dims}"
            )
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps must not be negative, but is {self.warmup_steps}")


class BottomUp(vaezoo.Encoder):
    """What x says of each level i: μ̂_i and log σ̂_i, linear in d_i = MLP(d_{i-1}), d_0 = x."""

    def __init__(
        self, network: vaezoo.Encoder, up: Sequence[nn.Module], heads: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.network = network
        self.up = nn.ModuleList(up)  # one fewer than there are levels
        self.heads = nn.ModuleList(heads)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """q(z_L|x), of the top alone, with batch shape (B,)."""
        return self.levels(x)[-1]

    def levels(self, x: Tensor) -> list[Distribution]:
        """N(μ̂_i, σ̂_i²), i = 1..L: batch shape (B,) each."""
        d = relu(self.network(x).mean)
        said = [self.heads[0](d)]
        for up, head in zip(self.up, self.heads[1:], strict=True):
            d = relu(up(d))
            said.append(head(d))
        return said


class Ladder(vaezoo.VAE):
    """Levels z1 (next to the data) to zL, drawn from the top down.

    encoder: what x says of each. down: p(z_i|z_{i+1}) for each level below the top, from the data
    up. prior: that of the top.
    """

    encoder: BottomUp

    def __init__(
        self,
        encoder: BottomUp,
        down: Sequence[nn.Module],
        decoder: nn.Module,
        prior: nn.Module,
        *,
        objective: vaezoo.Objective | None = None,
    ) -> None:
        super().__init__(encoder, decoder, prior, objective=objective)
        self.down = nn.ModuleList(down)

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        *below, q = self.encoder.levels(x)
        p = self.prior(y)
        z = vaezoo.draw(q, samples)  # (K, B, *latent)
        sites = [vaezoo.Site(q, p, z, name=f"z{len(below) + 1}")]
        for i in reversed(range(len(below))):
            p = self.down[i](z)  # p(z_i|z_{i+1}), batch shape (K, B)
            q = product(below[i], p)  # q(z_i|z_{i+1},x)
            z = vaezoo.draw(q, samples)
            sites.insert(0, vaezoo.Site(q, p, z, name=f"z{i + 1}"))
        return vaezoo.Trace(x, self.decoder(z, y), tuple(sites), bound=self.bound)

    def generate(self, n: int, y: Tensor | None = None) -> Distribution:
        z = self.sample_prior(n, y)
        for level in reversed(self.down):
            z = level(z).sample()
        return self.decoder(z, y)  # type: ignore[no-any-return]


def product(a: Distribution, b: Distribution) -> Distribution:
    """The normal whose density is proportional to that of a times that of b (eqs. 17-19)."""
    of_a, of_b = a.variance.reciprocal(), b.variance.reciprocal()
    precision = of_a + of_b
    mean = (of_a * a.mean + of_b * b.mean) / precision
    return normal(mean, precision.rsqrt(), len(a.event_shape))


class LadderELBO(vaezoo.ELBO):
    """The ELBO. With free bits, Σ_i max(λ, mean KL_i) over levels i takes the KL's place."""

    def check(self, trace: vaezoo.Trace) -> None:
        """A level's KL is one number, so it need not be a sum over dimensions."""

    def regularizer(self, trace: vaezoo.Trace, weights: Weights) -> Tensor:
        if not self.free_bits:
            return super().regularizer(trace, weights)
        floored = [kl.mean().clamp(min=self.free_bits) for kl in trace.kls]
        return weights["beta"] * torch.stack(floored).sum()


def ladder_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    width = (options.features,)
    shapes = [*((dim,) for dim in options.lower_dims), parts.latent_shape]  # from the data up
    network = parts.encoder(head=PointMassHead(width))
    if not isinstance(network, vaezoo.NetworkEncoder):
        raise vaezoo.OptionError(
            "ladder-vae reads features of x for all of its levels, and no latents: give a network "
            "of your own as encoder=vaezoo.wrap(network)"
        )
    heads = [linear_normal(width, shape) for shape in shapes]
    up = [parts.dense(width, width) for _ in options.lower_dims]
    return Ladder(
        BottomUp(network, up, heads),
        [normal_given(parts, above, shape) for shape, above in pairwise(shapes)],
        parts.decoder(latent_shape=shapes[0]),
        parts.prior(),
        objective=LadderELBO(warmup(1.0, options.warmup_steps), free_bits=options.free_bits),
    )


def normal_given(parts: vaezoo.Parts, above: tuple[int, ...], shape: tuple[int, ...]) -> nn.Module:
    """p(z_i|z_{i+1}), a factorised normal."""
    head = PredictedSigma(shape)
    return vaezoo.NetworkEncoder(parts.dense(above, head.input_shape), head)


def linear_normal(features: tuple[int, ...], shape: tuple[int, ...]) -> nn.Module:
    """A factorised normal whose μ and log σ are linear in the features."""
    head = PredictedSigma(shape)
    network = mlp(MLP(hidden=()), input_shape=features, output_shape=head.input_shape)
    return vaezoo.NetworkEncoder(vaezoo.Folded(network, event_ndim=1), head)

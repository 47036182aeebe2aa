"""The VAE/GAN (Larsen, Sønderby, Larochelle & Winther 2016, arXiv:1512.09300), algorithm 1.

L_prior = KL(q(z|x) || p(z)),  L_llike = ½ |Dis_l(x) - Dis_l(x̃)|²,  x̃ = Dec(z), z of q(z|x)
L_GAN = log Dis(x) + log(1 - Dis(x̃)) + log(1 - Dis(x_p)),  x_p = Dec(z_p), z_p of p(z)

The encoder minimises L_prior + L_llike, the decoder γ L_llike and what deceives the discriminator,
which maximises L_GAN. Each has a phase of its own. In place of L_GAN, the decoder minimises
-log Dis(x̃) - log Dis(x_p): the same aim, with a gradient where it has not been reached (Goodfellow
et al. 2014, section 3).

L_llike is the likelihood of features, and of those of a discriminator that moves: there is no
bound on log p(x).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import vaezoo
from vaezoo.objectives import Terms, Weights, figures

FIXED = {"name": "gaussian", "sigma": "fixed"}


@dataclass(frozen=True, kw_only=True)
class Options:
    gamma: float = 1.0
    """Weight of L_llike, in nats, against that of deceiving the discriminator, in the decoder's
    loss."""
    features: tuple[int, ...] = (16, 32)
    """Widths of the discriminator's first layers, up to Dis_l, by whose values images are
    compared: channels of convolutions that halve the image, or of dense layers for vectors. A
    network like the encoder's comes after them."""
    critic_rate: float = 0.1
    """The discriminator's learning rate, as a factor of the run's."""

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise ValueError(f"gamma must not be negative, but is {self.gamma}")
        if not self.features or min(self.features) < 1:
            raise ValueError(f"features must hold positive widths, not {self.features}")
        if self.critic_rate <= 0:
            raise ValueError(f"critic_rate must be positive, not {self.critic_rate}")


class Discriminator(nn.Module):
    """x (..., *input_shape) -> the logit of Dis(x), that x is no decoder's work: (...).

    features: x -> Dis_l(x), (..., *feature_shape). rest: that -> (..., 1).
    """

    def __init__(self, features: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.rest = rest

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.features(x)).squeeze(-1)  # type: ignore[no-any-return]


class Adversarial(vaezoo.Objective):
    """Three losses, (B,) each; what is validated is -log p(x|z) + KL, in pixels.

    The discriminator's features change from step to step, so that no loss of theirs tells earlier
    weights from later ones.
    """

    def __init__(self, critic: Discriminator, gamma: float, rate: float = 1.0) -> None:
        super().__init__(gamma=gamma)
        self.critic = critic
        self.rate = rate

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        return Terms((trace.kl - trace.log_px).mean(0), figures(trace))

    def distance(self, trace: vaezoo.Trace) -> Tensor:
        """L_llike without its constant, -log N(Dis_l(x); Dis_l(x̃), I): (K, B)."""
        apart: Tensor = self.critic.features(trace.x) - self.critic.features(trace.px.mean)
        return apart.flatten(2).square().sum(-1) / 2

    def encode(self, model: vaezoo.VAE, batch: vaezoo.Batch, weights: Weights) -> Terms:
        """The encoder's loss, and the prior's: L_prior + L_llike."""
        trace = model(batch.x, batch.y)
        distance = self.distance(trace)
        logs = {**figures(trace), "feature_distance": distance.mean().detach()}
        return Terms((trace.kl + distance).mean(0), logs, model.observe(trace))

    def decode(self, model: vaezoo.VAE, batch: vaezoo.Batch, weights: Weights) -> Terms:
        """The decoder's loss: γ L_llike - log Dis(x̃) - log Dis(x_p)."""
        trace = model(batch.x, batch.y)
        decoded, imagined = self.critic(trace.px.mean), self.critic(self.imagined(model, batch))
        loss = weights["gamma"] * self.distance(trace) + softplus(-decoded) + softplus(-imagined)
        return Terms(loss.mean(0))

    def criticise(self, model: vaezoo.VAE, batch: vaezoo.Batch, weights: Weights) -> Terms:
        """The discriminator's loss: -L_GAN."""
        with torch.no_grad():
            decoded = model(batch.x, batch.y).px.mean  # (1, B, *input_shape)
            imagined = self.imagined(model, batch)
        data, fakes = self.critic(batch.x), [self.critic(decoded)[0], self.critic(imagined)]
        loss = softplus(-data) + softplus(fakes[0]) + softplus(fakes[1])
        logs = {"critic/data": data, "critic/decoded": fakes[0], "critic/imagined": fakes[1]}
        return Terms(loss, {name: logit.sigmoid().detach() for name, logit in logs.items()})

    def imagined(self, model: vaezoo.VAE, batch: vaezoo.Batch) -> Tensor:
        """x_p, one for each example: (B, *input_shape)."""
        z = model.sample_prior(len(batch.x), batch.y)
        return model.decoder(z, batch.y).mean  # type: ignore[no-any-return]

    def phases(self, model: vaezoo.VAE) -> tuple[vaezoo.Phase, ...]:
        inference = [*model.encoder.parameters(), *model.prior.parameters()]
        return (
            vaezoo.Phase("encoder", self.encode, inference),
            vaezoo.Phase("decoder", self.decode, model.decoder.parameters()),
            vaezoo.Phase("critic", self.criticise, self.critic.parameters(), rate=self.rate),
        )


def vae_gan(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    critic = discriminator(options.features, parts)
    decoder = parts.decoder(likelihood=None if len(parts.input_shape) == 3 else FIXED)
    require_one_mean(decoder)
    return vaezoo.VAE(
        parts.encoder(),
        decoder,
        parts.prior(),
        objective=Adversarial(critic, options.gamma, options.critic_rate),
        bound="none",
    )


def discriminator(widths: tuple[int, ...], parts: vaezoo.Parts) -> Discriminator:
    """For data of any shape. Layer norm gives the features Dis_l(x) a scale, without which their
    distance would mean nothing; in the paper batch norm does."""
    images = len(parts.input_shape) == 3
    shape = parts.input_shape if images else (prod(parts.input_shape),)
    layers: list[nn.Module] = [] if images else [nn.Flatten()]
    for width in widths:
        if images:
            stride = 2 if min(shape[1:]) >= 8 else 1
            layers += [nn.Conv2d(shape[0], width, 2 + stride, stride, padding=1)]
            shape = (width, shape[1] // stride, shape[2] // stride)
        else:
            layers += [nn.Linear(shape[0], width)]
            shape = (width,)
        layers += [nn.LeakyReLU(0.2)]
    layers[-1] = nn.GroupNorm(1, shape[0], affine=False)  # Dis_l is linear in the layer before
    features = vaezoo.Folded(nn.Sequential(*layers), event_ndim=len(parts.input_shape))
    return Discriminator(features, parts.network(shape, (1,), direction="down"))


def require_one_mean(decoder: nn.Module) -> None:
    """Raise OptionError for a likelihood of which more than the mean would have to be trained."""
    head = getattr(decoder, "head", None)
    if head is None:
        return
    if head.input_shape != head.event_shape or any(p.requires_grad for p in head.parameters()):
        raise vaezoo.OptionError(
            "vae-gan trains the mean of p(x|z) and nothing else of it, such as a sigma: take "
            "likelihood='bernoulli', or 'gaussian' with sigma='fixed' or 'optimal'"
        )

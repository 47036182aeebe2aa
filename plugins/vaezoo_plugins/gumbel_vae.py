"""Categorical latents, relaxed by the Gumbel-softmax (Jang et al. 2017, Maddison et al. 2017).

z = softmax((log π(x) + g) / τ),  g from Gumbel(0, 1)                  (Jang et al. 2017, eq. 2)

τ is annealed during training. As it goes to 0, z becomes a one-hot draw of the categorical π.

Two KLs are in use, and neither of them, with a relaxed z, bounds log p(x) of the discrete model:

categorical  KL(Cat(π) || Cat(1/C)), in closed form: Jang et al. 2017, the usual one. Since z is
             not drawn from Cat(π), it is no bound on anything, but the nats of the codes.
relaxed      log q_τ(z|x) - log p_τ(z), densities at the draw: a bound on the log p(x) of the
             relaxed model, whose z are vectors of the simplex (Maddison et al. 2017,
             section 3.3).

Straight through, z is one-hot, exactly, and the ELBO is one of the discrete model; the gradient is
that of the relaxation, and biased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import one_hot

import vaezoo
from vaezoo.codes import CodeELBO, CodeEncoder, CodeVAE, StageOptions
from vaezoo.heads import PointMassHead
from vaezoo.objectives import Terms, Weights
from vaezoo.priors import CodePrior, UniformCodes
from vaezoo.priors.codes import Uniform
from vaezoo.schedules import Schedule

CATEGORIES = 10


@dataclass(frozen=True, kw_only=True)
class Options(StageOptions):
    categories: int | None = None
    """C, how many values each latent has. Default: the first of latent_shape, (C, height, width),
    else 10; latent_dim is how many latents there are."""
    sampling: Literal["relaxed", "straight-through"] = "relaxed"
    """z in training and evaluation. relaxed: a vector of positive numbers that sum to 1.
    straight-through: one-hot, with the relaxed one's gradient; the ELBO is then exact."""
    kl: Literal["categorical", "relaxed"] = "categorical"
    """categorical: that of the discrete latents, in closed form. relaxed: that of the densities
    of the relaxed ones, estimated at the draw."""
    temperature: float = 1.0
    """τ at the first step."""
    final_temperature: float = 0.5
    """τ after annealing."""
    anneal_steps: int = 10_000
    """Steps over which τ falls, exponentially."""

    def __post_init__(self) -> None:
        if self.categories is not None and self.categories < 2:
            raise ValueError(f"categories must be at least 2, not {self.categories}")
        if not 0 < self.final_temperature <= self.temperature:
            raise ValueError(
                f"temperatures must be positive, and the final one no higher than the first, not "
                f"{self.final_temperature} and {self.temperature}"
            )
        if self.anneal_steps < 1:
            raise ValueError(f"anneal_steps must be positive, not {self.anneal_steps}")
        if self.kl == "relaxed" and self.sampling == "straight-through":
            raise ValueError(
                "kl 'relaxed' is of relaxed draws, which sampling 'straight-through' does not "
                "make: choose kl 'categorical'"
            )
        if self.kl == "relaxed" and self.stage == "prior":
            raise ValueError("stage 'prior' is for a prior of discrete codes: kl 'categorical'")


@dataclass(frozen=True)
class Annealed:
    """start · (end / start)^(step / steps), then end: exp(-r t) of Jang et al. 2017, section 4."""

    start: float
    end: float
    steps: int

    def __call__(self, step: Tensor) -> Tensor:
        done = (step.float() / self.steps).clamp(max=1.0)
        return self.start * torch.exp(math.log(self.end / self.start) * done)


class GumbelSoftmax(Distribution):
    """Independent relaxed one-hot vectors along the first dimension of an event (C, *grid).

    logits (..., C, *grid), normalised or not. temperature (). hard: draws are one-hot, and their
    gradient is that of the relaxed ones. torch's own validates its arguments whatever it is told.
    """

    arg_constraints = {}  # noqa: RUF012  (as torch's own distributions have it)
    has_rsample = True

    def __init__(
        self, logits: Tensor, temperature: Tensor, event_ndim: int, *, hard: bool
    ) -> None:
        self.dim = -event_ndim
        self.logits = logits.log_softmax(self.dim)
        """log π: (..., C, *grid)."""
        self.temperature = temperature
        self.hard = hard
        shape, batch_ndim = logits.shape, logits.ndim - event_ndim
        super().__init__(shape[:batch_ndim], shape[batch_ndim:], validate_args=False)

    @property
    def probs(self) -> Tensor:
        """π: (..., C, *grid)."""
        return self.logits.exp()

    @property
    def log_mean(self) -> Tensor:
        """log of ``mean``."""
        if self.hard:
            return self.logits
        return (self.logits / self.temperature).log_softmax(self.dim)

    @property
    def mean(self) -> Tensor:
        """π if hard, the mean of one-hot vectors; else the draw without noise, since there is no
        closed form.
        """
        return self.log_mean.exp()

    def log_rsample(self, samples: int) -> Tensor:
        """log z of so many relaxed draws, which can be far below what z itself can hold."""
        logits = self.logits.expand(self._extended_shape(torch.Size((samples,))))
        waits = torch.empty_like(logits).exponential_()  # -log of one is a Gumbel
        return ((logits - waits.log()) / self.temperature).log_softmax(self.dim)

    def hardened(self, z: Tensor) -> Tensor:
        """One-hot where z is greatest, with the gradient of z."""
        hot = torch.zeros_like(z).scatter(self.dim, z.argmax(self.dim, keepdim=True), 1.0)
        return hot + (z - z.detach())

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        z = self.log_rsample(math.prod(sample_shape)).exp()
        z = self.hardened(z) if self.hard else z
        return z.reshape(self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The probability of one-hot vectors if hard, else the density: (...), nats."""
        if self.hard:
            return self.log_mass(value)
        log_z = value.log()
        return self.log_density(log_z) - self.summed(log_z)

    def log_mass(self, value: Tensor) -> Tensor:
        """log π of one-hot vectors."""
        return self.summed(value * self.logits)

    def log_density(self, log_z: Tensor) -> Tensor:
        """The density of log z with respect to log z (Maddison et al. 2017, appendix C): (...)."""
        count, tau = self.logits.shape[self.dim], self.temperature
        powers = self.logits - tau * log_z
        places = self.event_shape[1:].numel()
        constant = places * (math.lgamma(count) + (count - 1) * tau.log())
        normaliser = count * powers.logsumexp(self.dim, keepdim=True)
        return constant + self.summed(powers) - self.summed(normaliser)

    def summed(self, values: Tensor) -> Tensor:
        """Over an event."""
        return values.sum(tuple(range(self.dim, 0)))


@vaezoo.register_kl(GumbelSoftmax, Uniform)  # type: ignore[no-untyped-call, untyped-decorator]
def _kl_categorical(q: GumbelSoftmax, p: Uniform) -> Tensor:
    """Σ π (log π + log C), of each place, summed."""
    return q.summed(q.probs * (q.logits - p.log_prob_of_one))


class RelaxedUniform(GumbelSoftmax):
    """The density of log z for π = 1/C: the prior of the relaxed model."""

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_density(value)


class CategoricalEncoder(CodeEncoder):
    """q(z|x), whose logits are the output (B, C, *grid) of ``inner``, at the present τ."""

    temperature: Tensor

    def __init__(
        self, inner: nn.Module, code_shape: tuple[int, ...], temperature: float, *, hard: bool
    ) -> None:
        super().__init__()
        self.inner = inner
        self.num_codes = code_shape[0]
        self.event_ndim = len(code_shape)
        self.hard = hard
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, x: Tensor, y: Tensor | None = None) -> GumbelSoftmax:
        logits = self.inner(x, y).mean
        return GumbelSoftmax(logits, self.temperature, self.event_ndim, hard=self.hard)

    def lookup(self, index: Tensor) -> Tensor:
        hot = one_hot(index, self.num_codes).movedim(-1, -self.event_ndim)
        return hot.to(self.temperature.dtype)


class GumbelVAE(CodeVAE):
    """Its codes are where z is greatest: draws of Cat(π), whatever τ (the Gumbel-max trick)."""

    encoder: CategoricalEncoder

    def __init__(self, *parts: nn.Module, options: Options, code_shape: tuple[int, ...]) -> None:
        encoder, decoder, prior = parts
        assert isinstance(encoder, CategoricalEncoder)
        schedule = Annealed(options.temperature, options.final_temperature, options.anneal_steps)
        super().__init__(
            encoder,
            decoder,
            prior,
            objective=GumbelELBO(code_shape[0], schedule),
            code_shape=code_shape,
            stage=options.stage,
            bound="exact" if options.sampling == "straight-through" else "relaxed",
        )
        self.relaxed_kl = options.kl == "relaxed"

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        q = self.encoder(x, y)
        log_z = q.log_rsample(samples) if samples else q.log_mean.unsqueeze(0)  # (K, B, C, *grid)
        z = log_z.exp()
        z = q.hardened(z) if q.hard and samples else z
        index = log_z.argmax(q.dim)
        if self.relaxed_kl:
            even = torch.zeros_like(q.logits[0])
            p = RelaxedUniform(even, q.temperature, self.encoder.event_ndim, hard=False)
            site = vaezoo.Site(q, p, z, log_q=q.log_density(log_z), code=log_z)
        else:
            log_q = q.log_mass(z if q.hard else self.encoder.lookup(index))
            site = vaezoo.Site(q, self.prior(y), z, log_q=log_q, code=index)
        return vaezoo.Trace(x, self.decoder(z, y), (site,), bound=self.bound)

    def after_step(self, state: dict[str, Tensor]) -> None:
        super().after_step(state)
        if self.stage == "all":
            self.encoder.temperature.copy_(state["temperature"])


class GumbelELBO(CodeELBO):
    """The ELBO at the temperature that the encoder holds; it tells the model the next one."""

    def __init__(self, num_codes: int, temperature: Schedule) -> None:
        super().__init__(num_codes, temperature=temperature)

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        terms = super().score(trace, weights)
        terms.state["temperature"] = weights["temperature"].detach()
        return terms

    def index(self, trace: vaezoo.Trace) -> Tensor:
        return trace.sites[0].z.argmax(-len(trace.sites[0].q.event_shape))


def gumbel_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    shape = parts.code_shape(options.categories, CATEGORIES)
    inner = parts.encoder(head=PointMassHead(shape))
    hard = options.sampling == "straight-through"
    encoder = CategoricalEncoder(inner, shape, options.temperature, hard=hard)
    prior = parts.prior("uniform-codes", codes=(shape[0], shape[1:]))
    learned = isinstance(prior, CodePrior) and not isinstance(prior, UniformCodes)
    if learned and options.stage == "all":
        raise vaezoo.OptionError(
            "gumbel-vae is trained with prior 'uniform-codes', whose KL has a gradient for q; "
            "a learned prior is fitted afterwards, with stage 'prior'"
        )
    decoder = parts.decoder(latent_shape=shape)
    return GumbelVAE(encoder, decoder, prior, options=options, code_shape=shape)

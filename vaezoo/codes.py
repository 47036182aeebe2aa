"""Discrete latents: a z that is a grid of codes, each one of N vectors of C numbers.

q(z|x) has all its mass on one code at each place, so its KL from the prior is -log p(code): nats
that the prior takes to write the codes down, exact, and with no gradient for the encoder.

Two stages of training, by the same trainer: all of a model with uniform codes, then of another,
which begins with its weights, the prior alone (van den Oord et al. 2017, section 3.3).

B batch, K importance samples, C numbers of a code, N codes, *grid places: (L,) or (H, W).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vaezoo.batch import Batch
from vaezoo.errors import OptionError
from vaezoo.heads import PointMass
from vaezoo.model import VAE
from vaezoo.objectives import ELBO, Terms, Weights
from vaezoo.parts import Encoder
from vaezoo.priors.autoregressive import AutoregressiveCodes
from vaezoo.priors.codes import CodePrior, Uniform
from vaezoo.schedules import Schedule
from vaezoo.trace import Site, Trace, draw, register_kl

Stage = Literal["all", "prior"]


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """The options that variants with codes share."""

    stage: Stage = "all"
    """What is trained. all: the whole model. prior: the prior alone, on the codes of a model that
    is trained, whose weights this one must begin with."""


class Codes(PointMass):
    """q(z|x): all mass on one code at each place.

    output: what the encoder put out (B, C, *grid), and codes, of the same shape, what was made of
    it; index (B, *grid), which codes these are. The draw is codes, and its gradient goes to the
    output as it is, straight through (Bengio et al. 2013).
    """

    def __init__(self, output: Tensor, codes: Tensor, index: Tensor) -> None:
        # The bracket is 0, and so the codes are exact: output + (codes - output) would round.
        super().__init__(codes.detach() + (output - output.detach()), output.ndim - 1)
        self.output = output
        self.codes = codes
        self.index = index

    def log_prob(self, value: Tensor) -> Tensor:
        """0, of its own draws: the probability of the code is 1."""
        return value.new_zeros(value.shape[: value.ndim - len(self.event_shape)])


@register_kl(Codes, Uniform)  # type: ignore[no-untyped-call, untyped-decorator]
@register_kl(Codes, AutoregressiveCodes)  # type: ignore[no-untyped-call, untyped-decorator]
def _kl_codes(q: Codes, p: Uniform | AutoregressiveCodes) -> Tensor:
    return -p.log_prob(q.index)


class CodeEncoder(Encoder):
    """q(z|x) over grids of codes."""

    num_codes: int
    """N, how many codes there are to choose from."""

    @abstractmethod
    def lookup(self, index: Tensor) -> Tensor:
        """Which codes (..., *grid), int64 -> the z that they stand for (..., C, *grid)."""


class CodeVAE(VAE):
    """A VAE whose z is a grid of codes; its prior is over their indices.

    encoder: x -> ``Codes``. prior: over grids of as many codes. stage: see ``StageOptions``.
    Raises OptionError for a prior that is over something else, or has nothing to train.
    """

    encoder: CodeEncoder
    prior: CodePrior

    def __init__(
        self,
        encoder: CodeEncoder,
        decoder: nn.Module,
        prior: nn.Module,
        *,
        objective: ELBO,
        code_shape: tuple[int, ...],
        stage: Stage,
        bound: Literal["exact", "relaxed"] = "exact",
    ) -> None:
        if not isinstance(prior, CodePrior):
            raise OptionError(
                f"this model's latents are discrete codes, and {type(prior).__name__} is not over "
                f"those: choose prior 'uniform-codes' or 'autoregressive'"
            )
        super().__init__(encoder, decoder, prior, objective=objective, bound=bound)
        self.code_shape = code_shape
        self.stage = stage
        if stage == "prior":
            if not [*prior.parameters()]:
                raise OptionError(
                    "stage 'prior' trains the prior alone, and 'uniform-codes' has nothing to "
                    "learn: choose prior 'autoregressive'"
                )
            self.fitted_later = ("prior",)
            for part in (encoder, decoder):
                part.requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Trace:
        q = self.encoder(x, y)
        z = draw(q, samples)  # (K, B, C, *grid)
        code = q.index.expand(len(z), *q.index.shape)
        site = Site(q, self.prior(y), z, code=code)
        return Trace(x, self.decoder(z, y), (site,), bound=self.bound)

    def sample_prior(
        self, n: int, y: Tensor | None = None, prior: nn.Module | None = None
    ) -> Tensor:
        return self.encoder.lookup(super().sample_prior(n, y, prior))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one z: (C, *grid)."""
        return self.code_shape

    def prepare(self, batch: Batch, num_examples: int) -> None:
        """Raises OptionError in the stage of the prior, where there must be weights already."""
        super().prepare(batch, num_examples)
        if self.stage == "prior":
            raise OptionError(
                "stage 'prior' fits the prior to the codes of a model that is trained, and this "
                "one is new: begin with the weights of the first stage, by --init-from RUN or "
                "vaezoo.load(path, into=model)"
            )

    def train(self, mode: bool = True) -> CodeVAE:
        """As of any module, but what another stage has trained stays in evaluation mode."""
        super().train(mode)
        if self.stage == "prior":
            self.encoder.eval()
            self.decoder.eval()
        return self

    def observe(self, trace: Trace) -> dict[str, Tensor]:
        """Nothing in the stage of the prior: what follows the data without gradient, rests."""
        return {} if self.stage == "prior" else super().observe(trace)


class CodeELBO(ELBO):
    """The ELBO, and in its logs the perplexity: how many codes a batch uses, in effect."""

    def __init__(self, num_codes: int, **weights: float | Schedule) -> None:
        super().__init__(1.0, samples=1, free_bits=0.0, **weights)
        self.num_codes = num_codes

    def score(self, trace: Trace, weights: Weights) -> Terms:
        terms = super().score(trace, weights)
        share = usage(self.index(trace), self.num_codes, trace.log_px.dtype)
        terms.logs["perplexity"] = perplexity(share)
        return terms

    def index(self, trace: Trace) -> Tensor:
        """Which codes a trace took: (K, B, *grid)."""
        return trace.sites[0].code


def usage(index: Tensor, num_codes: int, dtype: torch.dtype) -> Tensor:
    """The share of the places that takes each code, whatever the shape of index: (N,), sum 1."""
    index = index.flatten()
    ones = torch.ones(index.shape, dtype=dtype, device=index.device)
    return ones.new_zeros(num_codes).index_add(0, index, ones) / len(index)


def perplexity(share: Tensor) -> Tensor:
    """exp(-Σ_i s_i log s_i) of shares (N,): N where all are alike, 1 where one has all. ()."""
    return torch.special.entr(share).sum().exp()  # type: ignore[no-any-return]

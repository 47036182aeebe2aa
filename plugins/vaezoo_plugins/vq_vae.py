"""The VQ-VAE: codes out of a learned codebook (van den Oord et al. 2017, Razavi et al. 2019).

q(z|x): at each place, the code e_k that is nearest to the encoder's output z_e(x)         (eq. 1)
L = -log p(x|z) + Σ |sg[z_e] - e|² + β Σ |z_e - sg[e]|²                                    (eq. 3)

The sums are over the places and the numbers of a code, as all sums here, where the paper takes
the mean over places. The second term is the codebook's; without it, the codes follow running
means (appendix A.1):

N_i <- γ N_i + (1-γ) n_i,   m_i <- γ m_i + (1-γ) Σ_j z_ij,   e_i = m_i / N_i

Here n_i is the share of the batch's places, which does not depend on its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import vaezoo
from vaezoo.batch import Batch
from vaezoo.codes import CodeELBO, CodeEncoder, Codes, CodeVAE, StageOptions, usage
from vaezoo.heads import PointMassHead

CODE_DIM = 4  # few, so that more codes are in use (Yu et al. 2022, arXiv:2110.04627)
SMALLEST = 1e-30  # of the shares that divide; those that are used are far above


@dataclass(frozen=True, kw_only=True)
class Options(StageOptions):
    codes: int = 512
    """How many codes the codebook holds."""
    code_dim: int | None = None
    """Numbers of one code. Default: the first of latent_shape, (code_dim, height, width), else
    4; latent_dim is how many codes stand in a row."""
    codebook: Literal["ema", "gradient"] = "ema"
    """How codes follow the encoder's outputs that are nearest to them. ema: their running mean.
    gradient: by a term of the loss."""
    commitment: float = 0.25
    """Weight β of the squared distance of the encoder's output from its code, in nats."""
    decay: float = 0.9
    """γ of the running means, for one training step. The paper's 0.99 lags behind an encoder that
    moves fast, as at the start of training, and most codes are lost."""
    revive: float = 0.1
    """A code whose running share of all places falls below this part of an even share, 1/codes,
    is replaced by an output of the encoder; 0: never."""

    def __post_init__(self) -> None:
        if self.codes < 1 or (self.code_dim is not None and self.code_dim < 1):
            raise ValueError("codes and code_dim must be positive")
        if self.commitment < 0:
            raise ValueError(f"commitment must not be negative, but is {self.commitment}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {self.decay}")
        if not 0 <= self.revive < 1:
            raise ValueError(f"revive must lie in [0, 1), not {self.revive}")


class Codebook(CodeEncoder):
    """The row of the book (N, C) that is nearest to the output (B, C, *grid) of ``inner``."""

    book: Tensor
    usage: Tensor

    def __init__(
        self, inner: nn.Module, num_codes: int, code_shape: tuple[int, ...], *, learned: bool
    ) -> None:
        super().__init__()
        self.inner = inner
        self.num_codes = num_codes
        self.grid_ndim = len(code_shape) - 1
        book = torch.randn(num_codes, code_shape[0])
        if learned:
            self.book = nn.Parameter(book)
        else:
            self.register_buffer("book", book)
        self.register_buffer("usage", torch.full((num_codes,), 1 / num_codes))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Codes:
        output = self.inner(x, y).mean
        # |z - e|² without |z|², which is the same for all codes.
        distance = self.book.square().sum(1) - 2 * output.movedim(1, -1) @ self.book.T
        index = distance.argmin(-1)
        return Codes(output, self.lookup(index), index)

    def lookup(self, index: Tensor) -> Tensor:
        return self.book[index].movedim(-1, -1 - self.grid_ndim)

    def follow(self, share: Tensor, mean: Tensor, decay: float) -> None:
        """Appendix A.1, with m_i = N_i e_i put in. A code that is not used stays as it is.

        share: n_i (N,). mean: Σ_j z_ij (N, C), divided by how many places the batch has.
        """
        new = decay * self.usage + (1 - decay) * share
        step = (mean - share.unsqueeze(1) * self.book) / new.clamp(min=SMALLEST).unsqueeze(1)
        self.book.add_((1 - decay) * step)

    def count(self, share: Tensor, decay: float) -> None:
        """The running shares N_i."""
        self.usage.copy_(decay * self.usage + (1 - decay) * share)

    def revive(self, outputs: Tensor, threshold: float) -> None:
        """Codes of a lesser share become rows of outputs (R, C), drawn at random."""
        drawn = torch.randint(len(outputs), (self.num_codes,), device=outputs.device)
        new = outputs[drawn]
        # Those of a step that is skipped may not be finite, and the book may be a parameter.
        dead = (self.usage < threshold) & new.isfinite().all(1)
        self.book.copy_(torch.where(dead.unsqueeze(1), new, self.book))
        self.usage.masked_fill_(dead, 1 / self.num_codes)


class VQVAE(CodeVAE):
    """The two terms are penalties of its trace, and its codebook moves after each step."""

    encoder: Codebook

    def __init__(self, *parts: nn.Module, options: Options, code_shape: tuple[int, ...]) -> None:
        encoder, decoder, prior = parts
        objective = CodeELBO(options.codes)
        assert isinstance(encoder, Codebook)
        super().__init__(
            encoder,
            decoder,
            prior,
            objective=objective,
            code_shape=code_shape,
            stage=options.stage,
        )
        self.options = options

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        trace = super().forward(x, y, samples)
        q = trace.sites[0].q
        assert isinstance(q, Codes)
        if self.options.codebook == "gradient":
            trace.penalties["codebook"] = squared(q.output.detach() - q.codes)
        distance = squared(q.output - q.codes.detach())
        trace.penalties["commitment"] = self.options.commitment * distance
        return trace

    @torch.no_grad()
    def prepare(self, batch: Batch, num_examples: int) -> None:
        """Begin with codes that are outputs of the encoder: random ones are far from them all."""
        super().prepare(batch, num_examples)
        outputs = rows(self.encoder(batch.x, batch.y).output)
        some = outputs[torch.randint(len(outputs), (len(self.encoder.book),))]
        self.encoder.book.copy_(some + 0.01 * outputs.std() * torch.randn_like(some))

    def observe(self, trace: vaezoo.Trace) -> dict[str, Tensor]:
        observed = super().observe(trace)
        if self.stage == "prior":
            return observed
        q = trace.sites[0].q
        assert isinstance(q, Codes)
        outputs = rows(q.output.detach())
        share = usage(q.index, self.encoder.num_codes, outputs.dtype)
        observed |= {"share": share, "outputs": outputs}
        if self.options.codebook == "ema":
            chosen = one_hot(q.index.flatten(), self.encoder.num_codes).to(outputs)
            observed["mean"] = chosen.T @ outputs / len(outputs)
        return observed

    def after_step(self, state: dict[str, Tensor]) -> None:
        super().after_step(state)
        if "share" not in state:
            return
        book, decay = self.encoder, self.options.decay
        if "mean" in state:
            book.follow(state["share"], state["mean"], decay)
        book.count(state["share"], decay)
        if self.options.revive:
            book.revive(state["outputs"], self.options.revive / book.num_codes)


def squared(difference: Tensor) -> Tensor:
    """(B, ...) -> (B,), summed."""
    return difference.square().flatten(1).sum(1)


def rows(output: Tensor) -> Tensor:
    """(B, C, *grid) -> (R, C), one row for each place."""
    return output.movedim(1, -1).flatten(0, -2)


def vq_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    shape = parts.code_shape(options.code_dim, CODE_DIM)
    inner = parts.encoder(head=PointMassHead(shape))
    encoder = Codebook(inner, options.codes, shape, learned=options.codebook == "gradient")
    prior = parts.prior("uniform-codes", codes=(options.codes, shape[1:]))
    decoder = parts.decoder(latent_shape=shape)
    return VQVAE(encoder, decoder, prior, options=options, code_shape=shape)

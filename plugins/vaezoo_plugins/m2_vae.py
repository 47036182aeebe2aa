"""M2, the semi-supervised VAE (Kingma et al. 2014): most labels are missing, and y is a latent.

p(x,y,z) = p(x|y,z) p(y) p(z),  q(y,z|x) = q(y|x) q(z|x,y),  p(y) uniform

log p(x,y) >= E_q(z|x,y)[log p(x|y,z)] + log p(y) - KL(q(z|x,y) || p(z)) = -L(x,y)     (eq. 6)
log p(x)   >= Σ_y q(y|x) (-L(x,y)) + H(q(y|x)) = -U(x)                                 (eq. 7)
J = Σ_labelled L(x,y) + Σ_unlabelled U(x) + α E_labelled[-log q(y|x)]               (eqs. 8, 9)

Both bounds are one formula: the ELBO with q(y|x), or with all mass on y where that is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

import vaezoo
from vaezoo.enumeration import EnumeratedTrace, OneHot, draw_alike
from vaezoo.heads import Head
from vaezoo.inference import chunks, inference, seeded
from vaezoo.schedules import Constant, Linear, Schedule
from vaezoo.trace import Site

RULED_OUT = -1e4  # a logit: exp of it is 0, and 0 times it too


@dataclass(frozen=True, kw_only=True)
class Options:
    alpha: float = 50.0
    """Weight of the classifier's cross-entropy, the mean over labelled examples in nats, beside
    the bound, the mean over all examples. The paper's α = 0.1·N, where its bounds are summed over
    N examples, is 0.1 here, however many labels there are: after short runs with few labels that
    was worse than a classifier of the labels alone."""
    start_beta: float = 1.0
    """Weight of the KLs of z and y when training begins, from which it moves linearly to 1. Above
    1 it keeps q(y|x) undecided and z poor while p(x|y,z) learns what the labels mean, as in
    deterministic annealing (Ueda & Nakano 1998)."""
    anneal_steps: int = 0
    """Steps over which it does so; 0: it is 1 throughout, as in the paper."""

    def __post_init__(self) -> None:
        for name in ("alpha", "start_beta", "anneal_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.start_beta != 1 and not self.anneal_steps:
            raise ValueError(f"start_beta={self.start_beta} needs anneal_steps, too")


class Label(Head):
    """q(y|x) from a logit for each class."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.event_shape = self.input_shape = (num_classes,)

    def forward(self, parameters: Tensor) -> Distribution:
        return OneHot(parameters)


class SemiSupervisedVAE(vaezoo.VAE):
    """y is observed where it is 0 or more, and a latent where it is -1 or y is None.

    classifier: ``x -> q(y|x)``. A Trace enumerates y: its ELBO is exact in y, with K draws of z
    for each value. It bounds log p(x,y) where y is known and log p(x) where it is not.

    ``log_likelihood`` is of log p(x), or of log p(x,y) where y is given.

    What needs one label for each example (encode, embed, reconstruct, interpolate, traverse)
    takes the most probable one, argmax q(y|x), where it is not given.
    """

    semi_supervised = True

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        classifier: nn.Module,
        *,
        num_classes: int,
        alpha: float,
        beta: float | Schedule = 1.0,
    ) -> None:
        super().__init__(encoder, decoder, prior, objective=SemiSupervisedELBO(beta))
        self.classifier = classifier
        self.alpha = alpha
        self.register_buffer("values", torch.arange(num_classes), persistent=False)
        self.values: Tensor

    @property
    def num_classes(self) -> int:
        """How many labels there are."""
        return len(self.values)

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        size, classes = len(x), self.num_classes
        y = self.values.new_full((size,), -1) if y is None else y
        known, labelled = y[:, None] == self.values, y >= 0  # (B, C), (B,)

        each = self._each(x, samples)
        q = self.classifier(x).logits  # log q(y|x): (B, C)
        certain = torch.where(known, 0.0, RULED_OUT).to(q.dtype)
        posterior = OneHot(torch.where(labelled[:, None], certain, q))
        prior = OneHot(q.new_zeros(classes))
        label = Site(posterior, prior, posterior.sample((samples,)), name="y")

        # α times the mean over the batch's labelled examples, once the step has taken the mean.
        share = labelled.to(q.dtype).mean().clamp(min=1 / size)
        penalty = self.alpha / share * -(q * known).sum(1)  # 0 where unlabelled
        return EnumeratedTrace(
            x, each, label, known | ~labelled[:, None], penalties={"classification": penalty}
        )

    def _each(self, x: Tensor, samples: int) -> vaezoo.Trace:
        """The Trace of every label: (K, C·B)."""
        y = self.values.repeat_interleave(len(x))
        x = x.repeat(self.num_classes, *[1] * (x.ndim - 1))
        q = self.encoder(x, y)  # q(z|x,y), batch shape (C·B,)
        z = draw_alike(q, samples, self.num_classes)  # (K, C·B, *latent)
        p = self.prior(y)  # p(z), or p(z|y)
        return vaezoo.Trace(x, self.decoder(z, y), (Site(q, p, z),), bound=self.bound)

    @inference
    def predict_proba(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """q(y|x): (B, num_classes). Nothing is drawn."""
        x, _ = self._checked(x, None)
        return torch.cat([self.classifier(piece).probs for piece, _ in chunks(x, None)])

    @inference
    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None) -> Tensor:
        """As of any VAE, with y drawn from p(y) where it is not given: (n, *input_shape)."""
        y = self._labels(y, n, unlabelled=True)
        with seeded(seed, self.device):
            drawn = torch.randint(self.num_classes, (n,), device=self.device)
            return super().sample(n, drawn if y is None else torch.where(y < 0, drawn, y))

    def _sites(self) -> int:
        return 1  # z, once each example has a label

    def _coded(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x, y = self._checked(x, y)
        likely = self.predict(x)
        return x, likely if y is None else torch.where(y < 0, likely, y)


class SemiSupervisedELBO(vaezoo.ELBO):
    """The ELBO of what is observed, and α times the classifier's cross-entropy."""

    per_example = False  # of the cross-entropy, the mean over a batch's labelled examples counts


def m2_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    steps = options.anneal_steps
    beta = Linear(options.start_beta, 1.0, steps) if steps else Constant(1.0)
    encoder = parts.encoder(conditional=True)
    head = Label(parts.num_classes)
    network = parts.network(parts.input_shape, head.input_shape, direction="down")
    return SemiSupervisedVAE(
        encoder,
        parts.decoder(conditional=True),
        parts.prior(),
        vaezoo.NetworkEncoder(network, head, features=getattr(encoder, "features", Head.features)),
        num_classes=parts.num_classes,
        alpha=options.alpha,
        beta=beta,
    )

"""The same models as one writes them by hand: raw formulas, nothing shared, sums in nats.

``loss(x)`` is a mean over the batch, minus the bound where there is one. x: (B, *shape) in [0, 1].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import leaky_relu, linear, one_hot, softplus

RATE = 1e-3


class Phase(NamedTuple):
    """A loss, what learns from it, and how fast."""

    loss: Callable[[Tensor], Tensor]
    parameters: list[nn.Parameter]
    rate: float = RATE


class Handwritten(nn.Module):
    """A VAE of an encoder that gives means and log-variances, and a decoder that gives logits."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def phases(self) -> list[Phase]:
        return [Phase(self.loss, [*self.parameters()])]

    def loss(self, x: Tensor) -> Tensor:
        mean, logvar = self.encoder(x).float().chunk(2, dim=1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        logits = self.decoder(z).float()
        reconstruction = cross_entropy(logits, x, reduction="sum")
        kl = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum()
        return (reconstruction + kl) / len(x)


class HandwrittenIWAE(Handwritten):
    """The importance-weighted bound of k samples."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, k: int) -> None:
        super().__init__(encoder, decoder)
        self.k = k

    def loss(self, x: Tensor) -> Tensor:
        mean, logvar = self.encoder(x).float().chunk(2, dim=1)
        noise = torch.randn(self.k, *mean.shape, device=x.device)
        z = mean + torch.exp(0.5 * logvar) * noise
        logits = self.decoder(z.flatten(0, 1)).float().view(self.k, *x.shape)
        log_px = -cross_entropy(logits, x.expand_as(logits), reduction="none").flatten(2).sum(2)
        log_ratio = (0.5 * (noise.square() + logvar) - 0.5 * z.square()).sum(2)
        return -(torch.logsumexp(log_px + log_ratio, dim=0) - math.log(self.k)).mean()


class HandwrittenFactor(Handwritten):
    """The FactorVAE. The critic learns to tell codes from codes permuted over the batch."""

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, dim: int, gamma: float, rate: float
    ) -> None:
        super().__init__(encoder, decoder)
        widths = (dim, *[1000] * 6, 1)
        self.critic = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(widths))
        self.gamma = gamma
        self.rate = rate

    def phases(self) -> list[Phase]:
        critic = [*self.critic.parameters()]
        learned = [*self.encoder.parameters(), *self.decoder.parameters()]
        return [Phase(self.loss, learned), Phase(self.criticise, critic, self.rate)]

    def judge(self, z: Tensor, *, learned: bool) -> Tensor:
        for number, layer in enumerate(self.critic):
            z = leaky_relu(z, 0.2) if number else z
            weight, bias = layer.weight, layer.bias
            z = linear(z, *((weight, bias) if learned else (weight.detach(), bias.detach())))
        return z.squeeze(1).float()

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.encoder(x).float().chunk(2, dim=1)
        kl = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum()
        return mean + torch.exp(0.5 * logvar) * torch.randn_like(mean), kl

    def loss(self, x: Tensor) -> Tensor:
        z, kl = self.draw(x)
        reconstruction = cross_entropy(self.decoder(z).float(), x, reduction="sum")
        correlation = self.judge(z, learned=False).sum()
        return (reconstruction + kl + self.gamma * correlation) / len(x)

    def criticise(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            z, _ = self.draw(x)
            first, second = z.chunk(2)
            permuted = second.gather(0, torch.rand_like(second).argsort(0))
        joint, product = self.judge(torch.cat([first, permuted]), learned=True).chunk(2)
        return (softplus(-joint).mean() + softplus(product).mean()) / 2


class HandwrittenVQ(Handwritten):
    """The VQ-VAE whose codes (N, C) follow running means; each place costs log N nats."""

    book: Tensor
    usage: Tensor

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, codes: int, dim: int, decay: float
    ) -> None:
        super().__init__(encoder, decoder)
        self.decay = decay
        self.register_buffer("book", 0.1 * torch.randn(codes, dim))
        self.register_buffer("usage", torch.full((codes,), 1 / codes))

    def loss(self, x: Tensor) -> Tensor:
        output = self.encoder(x).float().movedim(1, -1)  # (B, H, W, C)
        distance = self.book.square().sum(1) - 2 * output @ self.book.T
        index = distance.argmin(-1)
        code = self.book[index]
        commitment = 0.25 * (output - code).square().sum()
        passed = output + (code - output).detach()
        logits = self.decoder(passed.movedim(-1, 1)).float()
        if self.training:
            self.follow(output.detach().flatten(0, -2), index.flatten())
        cost = index[0].numel() * math.log(len(self.book))
        return (cross_entropy(logits, x, reduction="sum") + commitment) / len(x) + cost

    def follow(self, outputs: Tensor, index: Tensor) -> None:
        chosen = one_hot(index, len(self.book)).to(outputs)
        share, total = chosen.mean(0), chosen.T @ outputs / len(outputs)
        usage = self.decay * self.usage + (1 - self.decay) * share
        step = (total - share[:, None] * self.book) / usage.clamp(min=1e-30)[:, None]
        self.book.add_((1 - self.decay) * step)
        self.usage.copy_(usage)


def evaluating(model: Handwritten) -> Callable[[Tensor], Tensor]:
    """Its first loss, in the mode of evaluation."""

    @torch.no_grad()
    def loss(x: Tensor) -> Tensor:
        model.eval()
        return model.loss(x)

    return loss


def mlp(dim: int = 20) -> tuple[nn.Module, nn.Module]:
    """784-400-dim and back."""
    return (
        nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 2 * dim)),
        nn.Sequential(
            nn.Linear(dim, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28))
        ),
    )


def grid() -> tuple[nn.Module, nn.Module]:
    """vaezoo's ``conv`` for grey 28x28 images, and a grid of 7x7 codes of 16 numbers."""
    return (
        nn.Sequential(
            *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(1568, 256), nn.ReLU(), nn.Linear(256, 784)),
            nn.Unflatten(1, (16, 7, 7)),
        ),
        nn.Sequential(
            *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 1568), nn.ReLU()),
            *(nn.Unflatten(1, (32, 7, 7)), nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU()),
            nn.ConvTranspose2d(32, 1, 4, 2, 1),
        ),
    )


def burgess() -> tuple[nn.Module, nn.Module]:
    """The convolutional network of Burgess et al. 2018 for 64x64 grey images, 10 latents."""

    def down(channels: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(channels, 32, 4, 2, 1), nn.ReLU()

    def up(channels: int) -> nn.Module:
        return nn.ConvTranspose2d(32, channels, 4, 2, 1)

    return (
        nn.Sequential(
            *(layer for channels in (1, 32, 32, 32) for layer in down(channels)),
            *(nn.Flatten(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()),
            nn.Linear(256, 20),
        ),
        nn.Sequential(
            *(nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()),
            *(nn.Linear(256, 512), nn.ReLU(), nn.Unflatten(1, (32, 4, 4))),
            *(layer for _ in range(3) for layer in (up(32), nn.ReLU())),
            up(1),
        ),
    )

"""The same models as one writes them by hand: raw formulas, nothing shared, sums in nats.

``loss(x)`` is minus the bound, a mean over the batch. x: (B, *shape) in [0, 1].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy


class Handwritten(nn.Module):
    """A VAE of an encoder that gives means and log-variances, and a decoder that gives logits."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

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


def mlp() -> tuple[nn.Module, nn.Module]:
    """784-400-20 and back."""
    return (
        nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40)),
        nn.Sequential(
            nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28))
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

"""Burda et al. 2016, table 1: VAE and IWAE with k = 1, 5, 50, one and two stochastic layers.

784-200-200-50 and back, tanh, on MNIST binarized anew for each batch; batch 20, Adam (beta1 0.99,
eps 1e-4) at 1e-3 times 10^(-i/7) for 3^i epochs, i = 0..7; the last weights; 5,000 importance
samples; active units by their threshold. As in their code, all training images but none for
validation, Glorot's weights, and the decoder's bias at the logits of the mean image.

3,280 epochs are 9.84 million steps: hours on a GPU. ``--minutes 9`` cuts them into pieces.
"""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import torch
from protocol import Row, command
from torch import nn

import vaezoo
from vaezoo.data import Data

RESULTS = Path(__file__).parent / "results" / "burda_iwae.json"
SPANS = [3**i for i in range(8)]  # epochs at each learning rate
SOURCE = "Burda et al. 2016, arXiv:1509.00519, table 1"
DEPARTS = (
    "the VAE's KL is exact, not log q - log p of the draw; log σ bounded by 10 tanh(·/10); "
    "test images are one draw"
)
PUBLISHED = {  # layers, variant, k: -log p(x), active units
    (1, "vae", 1): "86.76",
    (1, "vae", 5): "86.47",
    (1, "vae", 50): "86.35",
    (1, "iwae", 5): "85.54",
    (1, "iwae", 50): "84.78",
    (2, "vae", 1): "85.33",
    (2, "vae", 5): "85.01",
    (2, "vae", 50): "84.78",
    (2, "iwae", 5): "83.89",
    (2, "iwae", 50): "82.90",
}
NETWORKS = {1: "784-200-200-50, tanh", 2: "784-200-200-100-100-100-50, tanh"}


@torch.no_grad()
def as_burda(model: vaezoo.VAE, data: Data) -> None:
    """Glorot's uniform weights, no biases but the last: the logits of the mean training image."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    x, _ = data.train.examples(torch.arange(len(data.train)))
    mean = (x.float().mean(0) / 255).clamp(0.001, 0.999)
    last = [module for module in model.decoder.modules() if isinstance(module, nn.Linear)][-1]
    last.bias.copy_(mean.logit().flatten())


def row(layers: int, variant: str, k: int) -> Row:
    """One cell of the table. IWAE with k = 1 is the VAE."""
    return Row(
        name=f"{variant}, k={k}, {layers} layer{'s' * (layers > 1)}",
        variant=variant if layers == 1 else None,  # of two layers there is none yet
        model={
            "network": {"name": "mlp", "hidden": [200, 200], "activation": "tanh"},
            "latent_dim": 50,
            "samples": k,
        },
        network=NETWORKS[layers],
        data={"name": "mnist", "full_train": True},
        training={
            "epochs": sum(SPANS),
            "batch_size": 20,
            "learning_rate": 1e-3,
            "lr_schedule": "step",
            "lr_factor": 10 ** (-1 / 7),
            "betas": (0.99, 0.999),
            "eps": 1e-4,
            "binarization": "dynamic",
            "precision": "fp32",
            "execution": "compiled",
        },
        milestones=tuple(accumulate(SPANS[:-1])),
        samples=5000,
        published=PUBLISHED[layers, variant, k],
        source=SOURCE,
        departs=DEPARTS,
        initialise=as_burda,
    )


ROWS = [row(*cell) for cell in PUBLISHED]

if __name__ == "__main__":
    command(ROWS, RESULTS, description=__doc__)

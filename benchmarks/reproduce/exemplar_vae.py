"""Norouzi et al. 2020 (Exemplar VAE): the VAE with the standard prior and with the VampPrior.

Gated dense 784-300-300-40 and mirror on MNIST and FashionMNIST, binarized anew for each batch,
validation and test once; Adam 5e-4, batch 100, KL warm-up over 100 epochs, at most 2,000 epochs,
stopped after 50 without a better validation ELBO; 5,000 importance samples.

Some hours on a GPU. ``--minutes 9`` cuts them into pieces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from protocol import Row, command
from torch import nn

import vaezoo
from vaezoo.data import Data

RESULTS = Path(__file__).parent / "results" / "exemplar_vae.json"
SOURCE = "Norouzi et al. 2020, arXiv:2004.04795, table 1"
DEPARTS = "gradients are not L2-normalised; log σ bounded by 10 tanh(·/10), not clamped"
PRIORS: dict[str, Any] = {
    "standard-normal": "standard-normal",
    "vampprior": {"name": "vampprior", "components": 500},
}
PUBLISHED = {
    ("mnist", "standard-normal"): "84.45 ± 0.12",
    ("mnist", "vampprior"): "82.43",
    ("fashion-mnist", "standard-normal"): "228.70 ± 0.15",
    ("fashion-mnist", "vampprior"): "227.35",
}
AN_EPOCH = 500  # steps


@torch.no_grad()
def he_normal(model: vaezoo.VAE, data: Data) -> None:
    """He et al. 2015, as the authors' code has it of every dense layer."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)


def row(data: str, prior: str) -> Row:
    """One cell of the table."""
    return Row(
        name=f"{data}, {prior}",
        variant="vae",
        model={
            "network": {"name": "mlp", "hidden": [300, 300], "gated": True},
            "latent_dim": 40,
            "prior": PRIORS[prior],
        },
        network="gated 784-300-300-40",
        data={"name": data},
        training={
            "epochs": 2000,
            "batch_size": 100,
            "learning_rate": 5e-4,
            "validate_every": AN_EPOCH,
            "checkpoint_every": 10 * AN_EPOCH,
            "patience": 50,
            "binarization": "dynamic",
            "precision": "fp32",
            "execution": "compiled",
        },
        warmup=100,
        samples=5000,
        published=PUBLISHED[data, prior],
        source=SOURCE,
        departs=DEPARTS,
        initialise=he_normal,
    )


ROWS = [row(*cell) for cell in PUBLISHED]

if __name__ == "__main__":
    command(ROWS, RESULTS, description=__doc__)

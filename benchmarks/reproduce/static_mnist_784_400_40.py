"""Static MNIST, 784-400-40: -log p(x) 89.9 nats (Rezende & Mohamed 2015), 89.78 by pythae.

One hidden layer of 400 ReLU units in each part, Adam 1e-4 that falls by 10^(-1/5) after 200 and
350 of 500 epochs, batch 100; the weights of the best validation ELBO; 200 importance samples. That
is pythae's script. Its binary images are Larochelle's; ours are drawn once from the grey ones.
"""

from __future__ import annotations

from pathlib import Path

from protocol import Row, command

RESULTS = Path(__file__).parent / "results" / "static_mnist_784_400_40.json"
ROWS = [
    Row(
        name="vae",
        variant="vae",
        model={"network": {"name": "mlp", "hidden": [400]}, "latent_dim": 40},
        network="784-400-40, ReLU",
        data={"name": "mnist"},
        training={
            "epochs": 500,
            "batch_size": 100,
            "learning_rate": 1e-4,
            "lr_schedule": "step",
            "lr_factor": 10 ** (-1 / 5),
            "binarization": "static",
            "precision": "fp32",
            "execution": "compiled",
        },
        milestones=(200, 350),
        samples=200,
        published="89.9; pythae 89.78",
        source="Rezende & Mohamed 2015, arXiv:1505.05770; pythae's README",
        departs="a draw of binary images of our own",
    )
]

if __name__ == "__main__":
    command(ROWS, RESULTS, description=__doc__)

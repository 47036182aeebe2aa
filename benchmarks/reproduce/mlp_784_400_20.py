"""The classic small VAE: 784-400-20, Adam 1e-3, batch 128, 10 epochs.

Grey MNIST as in most tutorials, dynamically binarized MNIST and FashionMNIST, and 784-500-20 on
MNIST binarized once, as flax's example has it. Figures are of the test split, with one sampled z
for each image (not at the posterior mean, which would be no bound), by the weights of the best
validation ELBO.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import machine

import vaezoo

RESULTS = Path(__file__).parent / "results" / "mlp_784_400_20.json"
ROWS = [
    {"data": "mnist", "binarization": "none", "hidden": 400},
    {"data": "mnist", "binarization": "dynamic", "hidden": 400},
    {"data": "fashion-mnist", "binarization": "dynamic", "hidden": 400},
    {"data": "mnist", "binarization": "static", "hidden": 500},
]


def run(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train one row; return its figures with the run's resolved config."""
    torch.manual_seed(0)
    model = vaezoo.create("vae", network={"name": "mlp", "hidden": [row["hidden"]]}, latent_dim=20)
    started = time.perf_counter()
    vaezoo.fit(
        model,
        row["data"],
        epochs=10,
        batch_size=128,
        learning_rate=1e-3,
        binarization=row["binarization"],
        out=folder,
    )
    seconds = time.perf_counter() - started
    figures = json.loads((folder / "figures.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    return {**row, "figures": figures, "seconds": round(seconds, 1), "config": config}


def main() -> None:
    """Run all rows and write the result file."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    results = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            result = run(row, Path(folder) / "run")
        results.append(result)
        elbo, error = (result["figures"][k] for k in ("elbo", "elbo_standard_error"))
        print(f"{row}: test -ELBO {-elbo:.2f} +- {error:.2f} nats, {result['seconds']} s")  # noqa: T201
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()

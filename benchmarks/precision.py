"""What bf16 costs in nats: test ELBOs after training in fp32 and in bf16, seed by seed.

    VAEZOO_DATA=path/to/data python benchmarks/precision.py

784-400-20 on grey MNIST and FashionMNIST, 10 epochs of batches of 128, both from the same first
weights and through the same batches. Evaluation is in fp32. Writes results/precision.json.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import torch

import vaezoo

sys.path.insert(0, str(Path(__file__).parent / "reproduce"))
from machine import machine

RESULTS = Path(__file__).parent / "results" / "precision.json"
SEEDS = (0, 1, 2)
EPOCHS = 10


def elbo(data: str, precision: Any, seed: int, **options: Any) -> float:
    """Of the test images, in nats, one sampled z each."""
    torch.manual_seed(seed)
    model = vaezoo.create("vae", network={"name": "mlp", "hidden": [400]}, latent_dim=20)
    options = {"epochs": EPOCHS, "batch_size": 128, **options}
    vaezoo.fit(model, data, precision=precision, seed=seed, **options)
    return float(vaezoo.evaluate(model, data, ["elbo"], split="test")["elbo"])


def row(data: str, **options: Any) -> dict[str, Any]:
    """The figures of every seed, and their mean difference."""
    fp32 = [elbo(data, "fp32", seed, **options) for seed in SEEDS]
    bf16 = [elbo(data, "bf16", seed, **options) for seed in SEEDS]
    differences = [b - a for a, b in zip(fp32, bf16, strict=True)]
    return {"data": data, "fp32": fp32, "bf16": bf16, "lost": -statistics.mean(differences)}


def main() -> None:
    """Measure both data sets and write the result file."""
    rows = []
    for data in ("mnist", "fashion-mnist"):
        rows.append(row(data))
        print(rows[-1])  # noqa: T201
    RESULTS.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

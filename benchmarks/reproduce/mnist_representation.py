"""Classification with the codes of a small VAE on MNIST, beside the floor of the raw pixels.

The parts ``classification`` and ``anomaly`` can be run apart, some minutes on one thread each.

784-400-20 and back, Adam 1e-3, batch 128, 10 epochs on the first 50,000 training images; kNN and
a linear probe on the posterior means with all labels and with few, measured on the 10,000 test
images; what the latents hold; and anomalies: VAEs trained on nine digits, told to find the tenth.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from machine import machine

import vaezoo
from vaezoo.data import as_data, select

RESULTS = Path(__file__).parent / "results" / "mnist_representation.json"
TRAINING = {"epochs": 10, "batch_size": 128, "learning_rate": 1e-3, "progress": False}
MODEL = {"network": {"name": "mlp", "hidden": [400]}, "latent_dim": 20}
HELD_OUT = (2, 9)  # one unlike the others, and one much like 4 and 7


def trained(data: Any) -> vaezoo.VAE:
    """A VAE on grey images."""
    torch.manual_seed(0)
    model = vaezoo.create("vae", **MODEL)
    vaezoo.fit(model, data, **TRAINING)
    return model


def classification() -> dict[str, Any]:
    """Figures of a VAE of all digits, each part with what it cost."""
    data, figures = as_data("mnist"), {}
    model, seconds = timed(lambda: trained(data))
    figures["training"] = {"seconds": seconds}
    rows: dict[str, list[Any]] = {
        "likelihood": ["elbo"],
        "latents": ["latents", "elbo-surgery"],
        "knn, all labels": ["knn"],
        "linear probe, all labels": ["linear-probe"],
        "100 labels": [{"name": n, "labels": 100} for n in ("knn", "linear-probe")],
        "1,000 labels": [{"name": n, "labels": 1000} for n in ("knn", "linear-probe")],
    }
    for name, metrics in rows.items():
        found, seconds = timed(lambda m=metrics: vaezoo.evaluate(model, data, m))
        figures[name] = {**found, "seconds": seconds}
    return figures


def anomaly() -> dict[str, Any]:
    """Figures of VAEs that have seen all digits but one, each told to find it."""
    figures = {}
    for digit in HELD_OUT:
        known = [other for other in range(10) if other != digit]
        model, training = timed(lambda known=known: trained(select("mnist", classes=known)))
        metric = {"name": "anomaly", "normal": known}
        found, seconds = timed(lambda m=model, k=metric: vaezoo.evaluate(m, "mnist", [k]))
        figures[f"without {digit}"] = {**found, "training": training, "seconds": seconds}
    return figures


def timed(work: Any) -> tuple[Any, float]:
    """What it gives, and how many seconds it took."""
    started = time.perf_counter()
    return work(), round(time.perf_counter() - started, 1)


def main() -> None:
    """Run the parts that are named, or both, and write their figures to the result file."""
    parts = {"classification": classification, "anomaly": anomaly}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"default: all. {', '.join(parts)}"
    )
    asked = parser.parse_args().parts
    if unknown := [name for name in asked if name not in parts]:
        parser.error(f"no part is called {unknown[0]!r}; there are {', '.join(parts)}")
    for name in asked or parts:
        results[name] = {
            "machine": machine(),
            "model": MODEL,
            "training": TRAINING,
            "figures": parts[name](),
        }
        print(json.dumps(results[name]["figures"], indent=2))  # noqa: T201
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Do the families do what their papers say? Three seeds each on MNIST, at equal steps.

IWAE with k = 50 against the VAE, the VampPrior against the standard prior, and a flow posterior
against the diagonal Gaussian: 784-200-200-50 and back, tanh, from Burda et al.'s initial
weights, dynamic binarization, Adam, batch 100.
-log p(x) with 5,000 importance samples of the same test images for all. A result that the result
file holds already is left as it is, and a run that was stopped goes on from its checkpoint.

    python benchmarks/reproduce/families_mnist.py [NAME ...] [--seeds 0 1 2] [--runs DIR]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from burda_iwae import as_burda
from machine import machine
from protocol import RUNS, keep_outputs, progress

import vaezoo
from vaezoo.data import Subset, as_data, evaluation_batches

RESULTS = Path(__file__).parent / "results" / "families_mnist.json"
NETWORK = {"name": "mlp", "hidden": [200, 200], "activation": "tanh"}
LATENT_DIM = 50
MODELS: dict[str, dict[str, Any]] = {
    "vae": {},
    "iwae": {"samples": 50},
    "vamp-vae": {},
    "iaf-vae": {},
}
BASELINE = "vae"
TRAINING: dict[str, Any] = {
    "steps": 6_000,
    "batch_size": 100,
    "learning_rate": 2e-3,
    "lr_schedule": "cosine",
    "binarization": "dynamic",
    "precision": "bf16",
    "execution": "compiled",
}
IMAGES, SAMPLES = 400, 5_000
"""The first test images, and the importance samples of each."""


def run(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train and measure one model: the mean over the images, and each image's log p(x)."""
    data = as_data("mnist")
    torch.manual_seed(seed)
    options = {"network": NETWORK, "latent_dim": LATENT_DIM, **MODELS[name]}
    model = vaezoo.create(name, **options)
    as_burda(model, data)
    keep_outputs(model)
    if not (folder / "figures.json").exists():
        begun = (folder / "config.json").exists()
        vaezoo.fit(model, data, out=folder, resume=begun, seed=seed, **TRAINING)
    model = vaezoo.load(folder)
    images = Subset(data.split("test"), range(IMAGES))
    kind = TRAINING["binarization"]
    batch = next(iter(evaluation_batches(images, batch_size=IMAGES, binarization=kind)))
    started = time.perf_counter()
    elbo = model.elbo(batch.x, seed=seed)
    nats = model.log_likelihood(batch.x, samples=SAMPLES, seed=seed)
    return {
        "name": name,
        "seed": seed,
        "elbo": elbo.mean().item(),
        "log_likelihood": nats.mean().item(),
        "per_image": [round(value, 2) for value in nats.tolist()],
        "seconds_of_evaluation": round(time.perf_counter() - started, 1),
        **progress(folder),
    }


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each model, over its seeds: means, sample standard deviations, the gain over the VAE."""
    found: dict[str, dict[str, Any]] = {}
    base = {r["seed"]: r for r in results if r["name"] == BASELINE}
    for name in MODELS:
        rows = [result for result in results if result["name"] == name]
        if not rows:
            continue
        found[name] = {"seeds": len(rows)}
        for figure in ("elbo", "log_likelihood"):
            found[name][figure] = spread([row[figure] for row in rows])
            gains = [r[figure] - base[r["seed"]][figure] for r in rows if r["seed"] in base]
            if name != BASELINE and gains:
                found[name][f"{figure}_gain"] = spread(gains)
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Mean and sample standard deviation."""
    told = {"mean": round(mean(values), 3)}
    return told | ({"std": round(stdev(values), 3)} if len(values) > 1 else {})


def main() -> None:
    """Run what is missing, seed by seed, and write the result file after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"default: all. {', '.join(MODELS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=RUNS / RESULTS.stem)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in MODELS]:
        parser.error(f"no model is called {unknown[0]!r}; there are {', '.join(MODELS)}")
    path: Path = asked.results
    results = json.loads(path.read_text())["results"] if path.exists() else []
    for seed in asked.seeds:
        for name in asked.names or MODELS:
            if (name, seed) in [(result["name"], result["seed"]) for result in results]:
                continue
            torch.compiler.reset()  # what earlier runs compiled counts towards a limit
            results.append(run(name, seed, asked.runs / f"{name}-{seed}"))
            kept = {"machine": machine(), "images": IMAGES, "samples": SAMPLES}
            kept |= {"summary": summary(results), "results": results}
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(kept) + "\n")
            print(f"{name}, seed {seed}: {results[-1]['log_likelihood']:.2f} nats")  # noqa: T201


if __name__ == "__main__":
    main()

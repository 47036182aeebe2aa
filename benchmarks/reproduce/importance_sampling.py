"""What 5,000 importance samples of each MNIST test image cost: 784-400-20 and back, Bernoulli.

The network is trained for an epoch, which changes no time but gives the figures a meaning. Results
are kept by device and number of images; ``--images 500`` tells the rate in a minute or two.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from machine import machine

import vaezoo
from vaezoo.data import Subset, as_data, evaluation_batches
from vaezoo.importance import default_chunk

RESULTS = Path(__file__).parent / "results" / "importance_sampling.json"


def main() -> None:
    """Measure, and add the row to the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()

    torch.manual_seed(0)
    data = as_data("mnist")
    model = vaezoo.create("vae", network={"name": "mlp", "hidden": [400]}, latent_dim=20)
    training = {"epochs": 1, "batch_size": 128, "binarization": "dynamic", "progress": False}
    vaezoo.fit(model, data, **training)
    model.to(asked.device)

    source = Subset(data.split("test"), range(asked.images))
    batches = evaluation_batches(source, batch_size=asked.images, binarization="static")
    x = next(iter(batches)).x.to(asked.device)
    model.log_likelihood(x[:100], samples=50)  # nothing is loaded or tuned within the time
    wait(asked.device)
    started, used = time.perf_counter(), time.process_time()
    nats = model.log_likelihood(x, samples=asked.samples, seed=0)
    wait(asked.device)
    seconds, used = time.perf_counter() - started, time.process_time() - used

    elbo = model.elbo(x, seed=0).mean().item()
    row = {
        "machine": machine(),
        "data": f"mnist, first {asked.images} of test, binarized (static, seed 0)",
        "training": training,
        "samples": asked.samples,
        "seed": 0,
        "decoded_at_once": default_chunk(x),
        "seconds": {"wall": round(seconds, 1), "cpu": round(used, 1)},
        "decoded_per_second": round(asked.images * asked.samples / seconds),
        "log_likelihood": nats.mean().item(),
        "log_likelihood_standard_error": nats.std().item() / asked.images**0.5,
        "elbo": elbo,
    }
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows[f"{asked.device}, {asked.images} images"] = row
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(row, indent=2))  # noqa: T201


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()

"""Classification with the codes of a small VAE on MNIST, beside the floor of the raw pixels.

784-400-20 and back, Adam 1e-3, batch 128, 10 epochs on the first 50,000 training images; kNN and
a linear probe on the posterior means with all labels and with few, measured on the 10,000 test
images; what the latents hold; and anomalies: a VAE trained on the digits 0 to 8, told to find 9.
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

import vaezoo
from vaezoo.data import as_data, select

RESULTS = Path(__file__).parent / "results" / "mnist_representation.json"
TRAINING = {"epochs": 10, "batch_size": 128, "learning_rate": 1e-3, "progress": False}
KNOWN = list(range(9))


def trained(data: Any) -> vaezoo.VAE:
    """A VAE on grey images."""
    torch.manual_seed(0)
    model = vaezoo.create("vae", network={"name": "mlp", "hidden": [400]}, latent_dim=20)
    vaezoo.fit(model, data, **TRAINING)
    return model


def main() -> None:
    """Train, measure, and write the result file."""
    data, figures, seconds = as_data("mnist"), {}, {}

    def timed(name: str, work: Any) -> Any:
        started = time.perf_counter()
        result = work()
        seconds[name] = round(time.perf_counter() - started, 1)
        print(name, seconds[name], "s", result if isinstance(result, dict) else "")  # noqa: T201
        return result

    model = timed("training", lambda: trained(data))
    rows: dict[str, list[Any]] = {
        "likelihood": ["elbo"],
        "latents": ["latents", "elbo-surgery"],
        "knn, all labels": ["knn"],
        "linear probe, all labels": ["linear-probe"],
        "100 labels": [{"name": n, "labels": 100} for n in ("knn", "linear-probe")],
        "1,000 labels": [{"name": n, "labels": 1000} for n in ("knn", "linear-probe")],
    }
    for name, metrics in rows.items():
        figures[name] = timed(name, lambda m=metrics: vaezoo.evaluate(model, data, m))
    other = timed("training without 9", lambda: trained(select(data, classes=KNOWN)))
    metric = {"name": "anomaly", "normal": KNOWN}
    figures["anomaly: 9"] = timed("anomaly", lambda: vaezoo.evaluate(other, data, [metric]))
    assert model.config is not None
    result = {
        "machine": {
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "vaezoo": vaezoo.__version__,
        },
        "model": {"variant": model.config.variant, "parts": model.config.parts},
        "training": TRAINING,
        "seconds": seconds,
        "figures": figures,
    }
    RESULTS.write_text(json.dumps(result, indent=2, default=dict) + "\n")


if __name__ == "__main__":
    main()

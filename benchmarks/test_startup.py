"""How long a new Python process takes over a bare one: to import, to make a model, to take a step.

Beside vaezoo, the same of pythae and of torch alone.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from bench_helpers import Report, installed, race
from pytest_benchmark.fixture import BenchmarkFixture

BARE = ("-c", "pass")
ROUNDS = 7

VAEZOO = """
import torch, vaezoo
model = vaezoo.create("vae", input_shape=(1, 28, 28), network={"name": "mlp", "hidden": [400]})
"""
VAEZOO_STEP = """
images = torch.randint(256, (128, 1, 28, 28), dtype=torch.uint8)
vaezoo.fit(model, images, steps=1, batch_size=128, device="cpu", validation=0, progress=False)
"""
PYTHAE = """
from pythae.models import VAE, VAEConfig
model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=20))
"""
PYTHAE_STEP = """
import torch
from pythae.data.datasets import BaseDataset
from pythae.trainers import BaseTrainer, BaseTrainerConfig
data = BaseDataset(torch.rand(128, 1, 28, 28), torch.zeros(128))
config = BaseTrainerConfig(output_dir=".", per_device_train_batch_size=128, no_cuda=True)
trainer = BaseTrainer(model, data, training_config=config)
trainer.prepare_training()
trainer.train_step(1)
"""
TORCH = """
import torch
from torch import nn
encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
"""
TORCH_STEP = """
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
x = torch.rand(128, 784)
mean, logvar = encoder(x).chunk(2, 1)
logits = decoder(mean + (logvar / 2).exp() * torch.randn_like(mean))
loss = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
(loss - 0.5 * (1 + logvar - mean.square() - logvar.exp()).sum()).backward()
optimizer.step()
"""
COMMANDS = {
    "import": {
        "vaezoo": ("-c", "import vaezoo"),
        "pythae": ("-c", "import pythae.models"),
        "torch": ("-c", "import torch"),
    },
    "list": {"vaezoo": ("-m", "vaezoo.cli", "list")},
    "model": {"vaezoo": ("-c", VAEZOO), "pythae": ("-c", PYTHAE), "torch": ("-c", TORCH)},
    "first step": {
        "vaezoo": ("-c", VAEZOO + VAEZOO_STEP),
        "pythae": ("-c", PYTHAE + PYTHAE_STEP),
        "torch": ("-c", TORCH + TORCH_STEP),
    },
}


@pytest.mark.parametrize("what", COMMANDS)
def test_startup(what: str, benchmark: BenchmarkFixture, report: Report, tmp_path: Path) -> None:
    benchmark.group = f"start-up: {what}"
    smoke = not benchmark.enabled
    names = [name for name in [*COMMANDS[what]][: 1 if smoke else None] if installed(name)]

    def run(arguments: tuple[str, ...]) -> None:
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    runs = {name: partial(run, COMMANDS[what][name]) for name in names}
    found = race(benchmark, runs | {"nothing": partial(run, BARE)}, rounds=1 if smoke else ROUNDS)
    bare, _ = found.pop("nothing")
    rows = {name: {"value": 1000 * (seconds - bare)} for name, (seconds, _) in found.items()}
    report(unit="ms over bare Python", rows=rows, bare_python_ms=1000 * bare)

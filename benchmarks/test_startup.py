"""How long a new Python process takes over a bare one: to import, to make a model, to take a step.

Beside vaezoo, the same of pythae and of torch alone.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_helpers import Report
from pytest_benchmark.fixture import BenchmarkFixture

BARE = ("-c", "pass")
PAIRS = 10

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


@pytest.mark.parametrize(
    ("what", "name"), [(what, name) for what, names in COMMANDS.items() for name in names]
)
def test_startup(
    what: str, name: str, benchmark: BenchmarkFixture, report: Report, tmp_path: Path
) -> None:
    if name == "pythae" and importlib.util.find_spec("pythae") is None:
        pytest.skip("pip install pythae==0.1.2")
    if not benchmark.enabled and name != "vaezoo":
        pytest.skip("one of each kind shows that they run")
    benchmark.group = f"start-up: {what}"
    arguments = COMMANDS[what][name]

    def run(arguments: tuple[str, ...]) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True)
        return time.perf_counter() - start

    benchmark.pedantic(run, args=(arguments,), rounds=3 if benchmark.enabled else 1)
    # In turns, so that whatever else the machine does burdens both alike.
    pairs = [(run(arguments), run(BARE)) for _ in range(PAIRS if benchmark.enabled else 1)]
    over = round(1000 * statistics.median(a - b for a, b in pairs), 1)
    report(
        row=name,
        value=over,
        unit="ms over bare Python",
        bare_python_ms=round(1000 * statistics.median(bare for _, bare in pairs), 1),
        over_bare_python_ms=over,
    )

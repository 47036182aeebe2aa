"""Where the time of a training step goes: docs/performance.md was written with it.

    python benchmarks/profile_step.py [VARIANT] [--batch 128] [--device cpu] [--precision fp32]
        [--execution compiled] [--network mlp] [--steps 100] [--rows 20]

A table of operators by their own time on the device, and beneath it the step's wall-clock time,
without the profiler and with it.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch.profiler import ProfilerActivity, profile

import vaezoo
from vaezoo.data import TensorSource, TrainingBatches
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.mode import training
from vaezoo.training.step import TrainingStep

SHAPES = {"mlp": (1, 28, 28), "conv": (1, 64, 64), "resnet": (3, 64, 64)}
LARGEST = 8192


def main() -> None:
    """Profile the trainer's own step on noise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", nargs="?", default="vae")
    parser.add_argument("--network", choices=[*SHAPES], default="mlp")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--execution", default="compiled")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rows", type=int, default=20)
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    network = {"name": "mlp", "hidden": [400]} if asked.network == "mlp" else asked.network
    shape = SHAPES[asked.network]
    model = vaezoo.create(
        asked.variant,
        input_shape=shape,
        network=network,
        latent_dim=20,
        offered={"num_classes": 10},
    )
    options = TrainingConfig(
        steps=10**6,
        batch_size=asked.batch,
        device=asked.device,
        precision=asked.precision,
        execution=asked.execution,
    )
    count = max(LARGEST, asked.batch)
    images = torch.randint(256, (count, *shape), dtype=torch.uint8)
    source = TensorSource(images, torch.arange(count) % 10)
    config = resolve(options, count // asked.batch)
    batches = TrainingBatches(source.to(config.device), batch_size=asked.batch, seed=0)
    with training(model, config):
        first = batches.batch(0)
        for module in (model, model.objective):
            module.prepare(first, count)
        step = TrainingStep(model, config)

        def run(start: int) -> float:
            began = time.perf_counter()
            for number in range(start, start + asked.steps):
                step(batches.batch(number), number)
            if config.device.startswith("cuda"):
                torch.cuda.synchronize()
            return (time.perf_counter() - began) / asked.steps

        run(0)  # compiles, and fills caches
        alone = run(asked.steps)
        kinds = [ProfilerActivity.CPU]
        if config.device.startswith("cuda"):
            kinds.append(ProfilerActivity.CUDA)
        with profile(activities=kinds) as found:
            profiled = run(2 * asked.steps)
    by = "self_cuda_time_total" if len(kinds) > 1 else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=by, row_limit=asked.rows, max_name_column_width=48))  # noqa: T201
    print(  # noqa: T201
        f"{1e3 * alone:.3f} ms a step, {asked.batch / alone:,.0f} images/s "
        f"({1e3 * profiled:.3f} ms under the profiler); {config.execution}, {config.precision}, "
        f"{config.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()

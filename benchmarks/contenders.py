"""Who trains a model, and how.

- vaezoo: the trainer's own batches and step, as ``fit`` runs them.
- pythae: the BaseTrainer of pythae 0.1.2, with fused Adam.
- plain: the loop of a tutorial, a DataLoader over float images and ``loss.item()``.
- handwritten: the best loop that one writes by hand: bytes gathered and converted on the device,
  torch.compile, fused Adam; it logs nothing, clips nothing and skips nothing.
- floor: the matrix products or convolutions of the step alone, forward and backward.

"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from handwritten import (
    RATE,
    Handwritten,
    HandwrittenFactor,
    HandwrittenIWAE,
    HandwrittenVQ,
    burgess,
    evaluating,
    grid,
    mlp,
)
from pythae_trainer import pythae
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

import vaezoo
from vaezoo.batch import Batch, Drawn
from vaezoo.data import TensorSource, TrainingBatches
from vaezoo.training.captured import Captured, Taking
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.mode import training
from vaezoo.training.step import TrainingStep


@dataclass(frozen=True)
class Contender:
    """One that has begun to train."""

    take: Callable[[int], float | None]
    """So many steps more; their mean loss in nats per image, if there is one."""
    loss: Callable[[Tensor], Tensor] | None = None
    """Of images (B, *shape) in [0, 1], their mean, in the mode of evaluation."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One model, as vaezoo makes it and as one writes it by hand."""

    name: str
    variant: str
    options: dict[str, Any]
    handwritten: Callable[[], Handwritten]
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a task is trained. images: (N, *shape) uint8 on the CPU."""

    task: Task
    images: Tensor
    batch: int
    device: str
    precision: Any
    execution: Any = "compiled"

    @property
    def autocast(self) -> Any:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")


TASKS = {
    "mlp": Task(
        name="vae 784-400-20",
        variant="vae",
        options={"network": {"name": "mlp", "hidden": [400]}, "latent_dim": 20},
        handwritten=lambda: Handwritten(*mlp()),
        shape=(1, 28, 28),
    ),
    "conv": Task(
        name="vae, Burgess's conv, 64x64",
        variant="vae",
        options={
            "network": {"name": "conv", "channels": [32] * 4, "hidden": [256, 256]},
            "latent_dim": 10,
        },
        handwritten=lambda: Handwritten(*burgess()),
        shape=(1, 64, 64),
    ),
    "iwae": Task(
        name="iwae k=50, 784-400-20",
        variant="iwae",
        options={"network": {"name": "mlp", "hidden": [400]}, "latent_dim": 20, "samples": 50},
        handwritten=lambda: HandwrittenIWAE(*mlp(), k=50),
        shape=(1, 28, 28),
    ),
    "vq": Task(
        name="vq-vae, conv, 7x7 codes",
        variant="vq-vae",
        options={"network": "conv", "latent_shape": (16, 7, 7), "codes": 512},
        handwritten=lambda: HandwrittenVQ(*grid(), codes=512, dim=16, decay=0.9),
        shape=(1, 28, 28),
    ),
    "factor": Task(
        name="factor-vae, 784-400-10",
        variant="factor-vae",
        options={"network": {"name": "mlp", "hidden": [400]}, "latent_dim": 10, "gamma": 10.0},
        handwritten=lambda: HandwrittenFactor(*mlp(10), dim=10, gamma=10.0, rate=RATE / 10),
        shape=(1, 28, 28),
    ),
}


def ours(setting: Setting) -> Contender:
    """As ``fit`` does it, but for records, validation and checkpoints."""
    torch.manual_seed(0)
    task, size = setting.task, setting.batch
    model = vaezoo.create(task.variant, input_shape=task.shape, **task.options)
    options = TrainingConfig(
        steps=10**6,
        batch_size=size,
        learning_rate=RATE,
        device=setting.device,
        precision=setting.precision,
        execution=setting.execution,
    )
    source = TensorSource(setting.images).to(setting.device)
    batches = TrainingBatches(source, batch_size=size, seed=0)
    config = resolve(options, batches.steps_per_epoch)
    with training(model, config):
        first = batches.batch(0)
        for module in (model, model.objective):
            module.prepare(first, len(source))
        step = TrainingStep(model, config)

    def gather(drawn: Drawn) -> Batch:
        x, y, index = batches.gather(drawn)
        return Batch(x.to(model.dtype), y, index)

    kind = Captured if setting.execution == "captured" else Taking
    advance = kind(step, gather)
    place = 0

    def take(steps: int) -> float:
        nonlocal place
        with training(model, config):
            for _ in range(steps):
                advance(batches.draw(place), place)
                place += 1
            figures = step.figures()
            return next(v for name, v in figures.items() if name.split("/")[0] == "loss")

    def loss(x: Tensor) -> Tensor:
        return -model.elbo(x).mean()

    return Contender(take, None if model.bound == "none" else loss)


def handwritten(setting: Setting) -> Contender:
    """The best loop by hand."""
    torch.manual_seed(0)
    images, size = setting.images.to(setting.device), setting.batch
    model = setting.task.handwritten().to(setting.device)
    phases = [
        (
            torch.compile(phase.loss) if setting.execution == "compiled" else phase.loss,
            phase.parameters,
            torch.optim.Adam(phase.parameters, phase.rate, fused=True),
        )
        for phase in model.phases()
    ]
    order, place = torch.randperm(len(images), device=setting.device), 0

    def take(steps: int) -> float:
        nonlocal order, place
        model.train()
        total = torch.zeros((), device=setting.device)
        for _ in range(steps):
            if place + size > len(images):
                order, place = torch.randperm(len(images), device=setting.device), 0
            x = images.index_select(0, order[place : place + size]).float().div_(255)
            place += size
            for number, (loss_of, parameters, optimizer) in enumerate(phases):
                with setting.autocast:
                    loss = loss_of(x)
                loss.backward(inputs=parameters)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if not number:
                    total += loss.detach()
        return total.item() / steps

    return Contender(take, evaluating(model))


def plain(setting: Setting) -> Contender:
    """The loop of a tutorial."""
    torch.manual_seed(0)
    model = setting.task.handwritten().to(setting.device)
    phases = [
        (phase.loss, phase.parameters, torch.optim.Adam(phase.parameters, phase.rate))
        for phase in model.phases()
    ]
    images = TensorDataset(setting.images.float() / 255)
    loader = DataLoader(images, setting.batch, shuffle=True, drop_last=True)
    batches = iter(loader)

    def take(steps: int) -> float:
        nonlocal batches
        model.train()
        total = 0.0
        for _ in range(steps):
            batch = next(batches, None)
            if batch is None:
                batches = iter(loader)
                batch = next(batches)
            x = batch[0].to(setting.device)
            for number, (loss_of, parameters, optimizer) in enumerate(phases):
                optimizer.zero_grad()
                loss = loss_of(x)
                loss.backward(inputs=parameters)
                optimizer.step()
                if not number:
                    total += loss.item()
        return total / steps

    return Contender(take, evaluating(model))


def floor(setting: Setting) -> Contender:
    """The products or convolutions of one step at their shapes and precision, nothing else."""
    torch.manual_seed(0)
    model = setting.task.handwritten().to(setting.device).eval()
    x = setting.images[: setting.batch].to(setting.device).float() / 255
    kind = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    calls: list[Callable[[], None]] = []
    for phase in model.phases():
        with Products(kind, phase.parameters, calls):
            phase.loss(x)

    def take(steps: int) -> None:
        for _ in range(steps):
            for call in calls:
                call()

    return Contender(take)


class Products(TorchFunctionMode):
    """Adds to ``calls`` each linear map or convolution of the layers, to be done again."""

    LAYERS = (torch.nn.functional.linear, torch.conv2d, torch.conv_transpose2d)

    def __init__(
        self, kind: torch.dtype, parameters: list[nn.Parameter], calls: list[Callable[[], None]]
    ) -> None:
        super().__init__()
        self.kind = kind
        self.learned = {parameter.data_ptr() for parameter in parameters}
        self.calls = calls

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in self.LAYERS:
            x, weight, *rest = args
            learned = result.requires_grad and weight.data_ptr() in self.learned
            x, weight = (
                tensor.detach().to(self.kind).requires_grad_(wanted)
                for tensor, wanted in ((x, x.requires_grad), (weight, learned))
            )
            rest = [
                each.detach().to(self.kind) if torch.is_tensor(each) else each for each in rest
            ]
            self.calls.append(product(function, x, weight, rest))
        return result


def product(function: Any, x: Tensor, weight: Tensor, rest: list[Any]) -> Callable[[], None]:
    """One layer, forward, and backward to what wants a gradient."""
    wanted = [tensor for tensor in (weight, x) if tensor.requires_grad]
    with torch.no_grad():
        gradient = torch.randn_like(function(x, weight, *rest))

    def call() -> None:
        result = function(x, weight, *rest)
        if wanted:
            torch.autograd.grad(result, wanted, gradient)

    return call


CONTENDERS: dict[str, Callable[[Setting], Contender]] = {
    "vaezoo": ours,
    "pythae": pythae,
    "plain": plain,
    "handwritten": handwritten,
    "floor": floor,
}

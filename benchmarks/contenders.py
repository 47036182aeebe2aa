"""Who trains a model, and how: each contender gives a function that takes so many steps.

- vaezoo: the trainer's own batches and step, as ``fit`` runs them.
- pythae: the BaseTrainer of pythae 0.1.2, with fused Adam.
- plain: the loop of a tutorial, a DataLoader over float images and ``loss.item()``.
- handwritten: the best loop that one writes by hand: bytes gathered and converted on the device,
  torch.compile, fused Adam; it logs nothing, clips nothing and skips nothing.
- floor: the matrix products or convolutions of the step alone, forward and backward.

A function returns the mean loss of its steps, in nats per image, where it has one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from handwritten import Handwritten, HandwrittenIWAE, burgess, mlp
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import vaezoo
from vaezoo.batch import Batch
from vaezoo.data import TensorSource, TrainingBatches
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.mode import training
from vaezoo.training.step import TrainingStep

Steps = Callable[[int], float | None]
RATE = 1e-3


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
        options={"network": "conv", "latent_dim": 10},
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
}


def ours(setting: Setting) -> Steps:
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
    place = 0

    def take(steps: int) -> float:
        nonlocal place
        with training(model, config):
            for _ in range(steps):
                x, y, index = batches.batch(place)
                step(Batch(x.to(model.dtype), y, index), place)
                place += 1
            return step.figures()["loss"]

    return take


def handwritten(setting: Setting) -> Steps:
    """The best loop by hand."""
    torch.manual_seed(0)
    images, size = setting.images.to(setting.device), setting.batch
    model = setting.task.handwritten().to(setting.device)
    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
    loss_of = torch.compile(model.loss) if setting.execution == "compiled" else model.loss
    order, place = torch.randperm(len(images), device=setting.device), 0

    def take(steps: int) -> float:
        nonlocal order, place
        total = torch.zeros((), device=setting.device)
        for _ in range(steps):
            if place + size > len(images):
                order, place = torch.randperm(len(images), device=setting.device), 0
            x = images.index_select(0, order[place : place + size]).float().div_(255)
            place += size
            with setting.autocast:
                loss = loss_of(x)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += loss.detach()
        return total.item() / steps

    return take


def plain(setting: Setting) -> Steps:
    """The loop of a tutorial."""
    torch.manual_seed(0)
    model = setting.task.handwritten().to(setting.device)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    images = TensorDataset(setting.images.float() / 255)
    loader = DataLoader(images, setting.batch, shuffle=True, drop_last=True)
    batches = iter(loader)

    def take(steps: int) -> float:
        nonlocal batches
        total = 0.0
        for _ in range(steps):
            batch = next(batches, None)
            if batch is None:
                batches = iter(loader)
                batch = next(batches)
            optimizer.zero_grad()
            loss = model.loss(batch[0].to(setting.device))
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / steps

    return take


def pythae(setting: Setting) -> Steps:
    """pythae's BaseTrainer, an epoch at a time over as many images as the steps need."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from pythae.data.datasets import BaseDataset
    from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    torch.manual_seed(0)
    by_hand = setting.task.handwritten()

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = by_hand.encoder

        def forward(self, x: Tensor) -> Any:
            mean, logvar = self.layers(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = by_hand.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    shape = {
        "input_dim": setting.task.shape,
        "latent_dim": setting.task.options["latent_dim"],
        "reconstruction_loss": "bce",
    }
    if isinstance(by_hand, HandwrittenIWAE):
        model = IWAE(IWAEConfig(**shape, number_samples=by_hand.k), Encoder(), Decoder())
    else:
        model = VAE(VAEConfig(**shape), Encoder(), Decoder())
    trainers: dict[int, Any] = {}
    optimizer = None

    def take(steps: int) -> float:
        nonlocal optimizer
        if steps not in trainers:  # its loader goes over a whole data set
            count = min(steps * setting.batch, len(setting.images))
            x = setting.images[:count].float() / 255
            config = BaseTrainerConfig(
                output_dir=tempfile.gettempdir(),
                per_device_train_batch_size=setting.batch,
                learning_rate=RATE,
                optimizer_params={"fused": True},
                no_cuda=setting.device == "cpu",
                amp=setting.precision == "bf16" and setting.device == "cuda",
            )
            data = BaseDataset(x, torch.zeros(len(x)))
            trainers[steps] = BaseTrainer(model, data, training_config=config)
            trainers[steps].set_optimizer()
            trainers[steps]._setup_callbacks()
            trainers[steps].callback_handler.callbacks.clear()  # no progress bar
        trainer = trainers[steps]
        optimizer = trainer.optimizer = optimizer or trainer.optimizer
        epochs = -(-steps // len(trainer.train_loader))
        return sum(float(trainer.train_step(epoch)) for epoch in range(epochs)) / epochs

    return take


def floor(setting: Setting) -> Steps:
    """The products or convolutions of one step at their shapes and precision, nothing else."""
    torch.manual_seed(0)
    model = setting.task.handwritten().to(setting.device)
    kind = torch.bfloat16 if setting.precision == "bf16" else torch.float32
    calls: list[tuple[nn.Module, Tensor]] = []

    def remember(layer: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        calls.append((layer, inputs[0].detach().to(kind)))

    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    hooks = [layer.register_forward_hook(remember) for layer in layers]
    with torch.no_grad():
        model.loss(setting.images[: setting.batch].to(setting.device).float() / 255)
    for hook in hooks:
        hook.remove()
    model.to(kind)
    prepared = []
    for number, (layer, x) in enumerate(calls):
        x.requires_grad_(number > 0)  # nobody wants the gradient of the images
        with torch.no_grad():
            gradient = torch.randn_like(layer(x))
        wanted = [layer.weight, *([x] if x.requires_grad else [])]
        prepared.append((layer, x, wanted, gradient))

    def take(steps: int) -> None:
        for _ in range(steps):
            for layer, x, wanted, gradient in prepared:
                torch.autograd.grad(layer(x), wanted, gradient)

    return take


CONTENDERS: dict[str, Callable[[Setting], Steps]] = {
    "vaezoo": ours,
    "pythae": pythae,
    "plain": plain,
    "handwritten": handwritten,
    "floor": floor,
}

"""What a training run does, decided once and written to the run's config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import torch

from vaezoo.data import Binarization
from vaezoo.errors import OptionError
from vaezoo.options import build, options_of
from vaezoo.training.hardware import compiling_pays, fast_in_bf16, resolve_device
from vaezoo.words import counted

BATCH, EPOCHS, STEPS = 128, 10, 2_000
LR_FACTOR = 0.1
DECIDED = (
    "batch_size",
    "validate_every",
    "checkpoint_every",
    "log_every",
    "precision",
    "execution",
    "device",
)
VALIDATE_EVERY, LOG_EVERY = 1_000, 100  # steps, where a run's length is not known


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Options of ``fit``, of ``Trainer``, and of the command ``train``."""

    epochs: int | None = None
    """Passes over the training data, each of which starts a stream anew. Default: 10, and of few
    examples as many as make 2,000 steps."""
    steps: int | None = None
    """Training steps, instead of epochs."""
    batch_size: int | None = None
    """Examples in each step. Default: 128, and of fewer than 512 examples a power of two that
    makes four steps of an epoch."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or AdamW with decoupled weight decay; fused."""
    learning_rate: float = 1e-3
    """The optimizer's step size, before its schedule."""
    lr_schedule: Literal["constant", "linear", "cosine", "step"] = "constant"
    """How the learning rate goes on after its warm-up: linear and cosine end at 0, step falls at
    `lr_milestones`."""
    lr_milestones: tuple[int, ...] | None = None
    """For the schedule step: the training steps from which the learning rate is `lr_factor` times
    what it was before."""
    lr_factor: float | None = None
    """For the schedule step: what each milestone multiplies the learning rate by. Default: 0.1."""
    lr_warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from 0."""
    weight_decay: float = 0.0
    """The optimizer's weight decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates of its running means."""
    eps: float = 1e-8
    """Adam's term against division by zero."""
    clip_norm: float | None = None
    """Scale gradients down to at most this Euclidean norm."""
    accumulate: int = 1
    """Pieces that each batch is cut into, one after the other: as much less memory, and the
    gradient of the whole batch."""
    recompute: bool = False
    """Keep no activations of a network, and compute them again for its gradient: memory of the
    largest network instead of all, about a third more time (Chen et al. 2016,
    arXiv:1604.06174)."""
    ema: float | None = None
    """Decay of a running mean of the weights, as in 0.999; validation, the best weights and the
    saved model are then the mean's. Default: none."""
    binarization: Binarization = "none"
    """How images become binary: none, threshold (x > 0.5), static (drawn once), or dynamic
    (drawn anew for each batch; validation and test are drawn once)."""
    validate_every: int | None = None
    """Steps between validations. Default: an epoch, but 4 to 50 times a run."""
    checkpoint_every: int | None = None
    """Steps between checkpoints. Default: at each validation."""
    log_every: int | None = None
    """Steps that one training record averages. Default: a hundredth of the run."""
    patience: int | None = None
    """Stop after so many validations in a row without a better ELBO. Default: never."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 runs the networks under autocast. auto: bf16 on CUDA devices that have it, and on CPUs
    with AMX for runs of 5 million examples and more."""
    execution: Literal["auto", "eager", "compiled", "captured"] = "auto"
    """Whether torch.compile makes the step. auto: on CUDA for runs of 2,000 steps and more, on a
    CPU of 5 million examples and more. captured: the compiled step as one CUDA graph."""
    device: str = "auto"
    """auto: the GPU if there is one."""
    data_memory: float | None = None
    """GiB of the device's memory that training data may take. Larger data stay in the host's, and
    batches are sent ahead. Default: half of what is free on a GPU."""
    log: Literal["tensorboard"] | None = None
    """tensorboard: figures and pictures for TensorBoard too, in the run's folder; needs the extra
    vaezoo[tensorboard]. Default: none."""
    seed: int = 0
    """Of shuffling, sampling and binarization in training."""

    def __post_init__(self) -> None:
        counts = ("epochs", "steps", "batch_size", "patience", "accumulate")
        for name in (*counts, "validate_every", "checkpoint_every", "log_every"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        for name in ("lr_warmup_steps", "weight_decay", "seed", "data_memory"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "clip_norm", "eps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{name} must be positive, not {value}")
        self._check_milestones()
        if self.seed >= 2**63:
            raise OptionError(f"seed must be less than 2**63, not {self.seed}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise OptionError(f"ema must lie between 0 and 1, as 0.999 does, not {self.ema}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise OptionError(f"betas must lie in [0, 1), not {self.betas}")

    def _check_milestones(self) -> None:
        given = [
            name for name in ("lr_milestones", "lr_factor") if getattr(self, name) is not None
        ]
        if self.lr_schedule != "step" and given:
            raise OptionError(
                f"{given[0]} belongs to the schedule 'step', and lr_schedule is "
                f"{self.lr_schedule!r}: give lr_schedule='step', or leave {given[0]} out"
            )
        if self.lr_schedule == "step":
            steps = self.lr_milestones or ()
            if not steps or steps[0] < 1 or any(a >= b for a, b in pairwise(steps)):
                raise OptionError(
                    f"lr_schedule 'step' needs lr_milestones, positive steps in rising order as "
                    f"in (10_000, 20_000), not {self.lr_milestones}"
                )
            if self.lr_factor is not None and not 0 < self.lr_factor <= 1:
                raise OptionError(f"lr_factor must lie in (0, 1], not {self.lr_factor}")


@dataclass(frozen=True, kw_only=True)
class Resolved(TrainingConfig):
    """A TrainingConfig with nothing left open, but for ``steps``: None means as many as
    ``epochs`` passes over a stream of unknown length have."""

    epochs: int
    batch_size: int
    validate_every: int
    checkpoint_every: int
    log_every: int

    @property
    def autocast(self) -> torch.dtype | None:
        """The networks' precision, where it is not the parameters' own."""
        return torch.bfloat16 if self.precision == "bf16" else None


def sized(config: TrainingConfig, examples: int | None) -> TrainingConfig:
    """The config with a batch size, if it has none: one for so many training examples.

    examples: None for a stream.
    """
    if config.batch_size is not None:
        return config
    power = BATCH if examples is None else 1 << max(0, (examples // 4).bit_length() - 1)
    return replace(config, batch_size=min(BATCH, power))


def resolve(config: TrainingConfig, steps_per_epoch: int | None) -> Resolved:
    """Decide what was left open: from the configured number of steps, never from a clock.

    steps_per_epoch: None for a stream of unknown length. Raises OptionError.
    """
    steps, epochs = config.steps, config.epochs or EPOCHS
    if steps_per_epoch is not None:
        if steps is None:
            epochs = config.epochs or max(EPOCHS, -(-STEPS // steps_per_epoch))
            steps = epochs * steps_per_epoch
        epochs = max(1, -(-steps // steps_per_epoch))
    device = resolve_device(config.device)
    if steps is None and config.lr_schedule in ("linear", "cosine"):
        raise OptionError(
            f"lr_schedule {config.lr_schedule!r} ends at the last step, and the length of this "
            f"stream is not known: give steps, or the stream's size, as in "
            f"vaezoo.data.Stream(batches, size=50_000)"
        )
    if steps is not None and config.lr_warmup_steps > steps:
        raise OptionError(
            f"lr_warmup_steps is {config.lr_warmup_steps}, more than the "
            f"{counted(steps, 'step')} of the run"
        )
    quarter, fiftieth = (VALIDATE_EVERY, 0) if steps is None else (-(-steps // 4), -(-steps // 50))
    an_epoch = min(steps_per_epoch or quarter, quarter)
    validate_every = config.validate_every or max(1, fiftieth, an_epoch)
    log_every = LOG_EVERY if steps is None else max(1, steps // 100)
    batch_size = config.batch_size or BATCH
    if batch_size % config.accumulate:
        raise OptionError(
            f"accumulate={config.accumulate} cuts batches of {batch_size} into unequal pieces: "
            f"take a divisor of {batch_size}"
        )
    long = compiling_pays(device.type, steps, batch_size)
    execution, precision = config.execution, config.precision
    if execution == "auto":
        execution = "compiled" if long else "eager"
    if precision == "auto":
        precision = "bf16" if fast_in_bf16(device.type, long=long) else "fp32"
    values = {name: getattr(config, name) for name in TrainingConfig.__dataclass_fields__}
    return Resolved(
        **{
            **values,
            "steps": steps,
            "batch_size": batch_size,
            "epochs": epochs,
            "validate_every": validate_every,
            "checkpoint_every": config.checkpoint_every or validate_every,
            "log_every": config.log_every or log_every,
            "execution": execution,
            "precision": precision,
            "device": str(device),
            "lr_factor": (config.lr_factor or LR_FACTOR) if config.lr_milestones else None,
        }
    )


def as_recorded(config: TrainingConfig, recorded: Mapping[str, Any]) -> TrainingConfig:
    """``config`` with what it leaves open as a run's recorded training has decided it."""
    options = {option.name: option.default for option in options_of(TrainingConfig)}
    decided = {
        name: recorded[name]
        for name in DECIDED
        if recorded.get(name) is not None and getattr(config, name) == options[name]
    }
    if config.steps is None and config.epochs is None:
        decided |= {name: recorded.get(name) for name in ("steps", "epochs")}
    values = {name: getattr(config, name) for name in options}
    return build(TrainingConfig, {**values, **decided}, "the run's config")


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise OptionError(f"{name} must be at least {least}, not {value}")

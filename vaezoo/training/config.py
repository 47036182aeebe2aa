"""What a training run does, decided once and written to the run's config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from vaezoo.data import Binarization
from vaezoo.errors import OptionError

COMPILE_PAYS = 2_000  # steps on CUDA, below which compiling takes longer than it saves


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Options of ``fit``, of ``Trainer``, and of the command ``train``."""

    epochs: int = 10
    """Passes over the training data, unless `steps` is given."""
    steps: int | None = None
    """Training steps, instead of epochs."""
    batch_size: int = 128
    """Examples in each step."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or AdamW with decoupled weight decay; fused."""
    learning_rate: float = 1e-3
    """The optimizer's step size, before its schedule."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate goes on after its warm-up: linear and cosine end at 0."""
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
    binarization: Binarization = "none"
    """How images become binary: none, threshold (x > 0.5), static (drawn once), or dynamic
    (drawn anew for each batch; validation and test are drawn once)."""
    validate_every: int | None = None
    """Steps between validations. Default: an epoch, but at least four times a run."""
    checkpoint_every: int | None = None
    """Steps between checkpoints. Default: at each validation."""
    log_every: int | None = None
    """Steps that one training record averages. Default: a hundredth of the run."""
    patience: int | None = None
    """Stop after so many validations in a row without a better ELBO. Default: never."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 runs the networks under autocast. auto: bf16 on CUDA devices that have it."""
    execution: Literal["auto", "eager", "compiled"] = "auto"
    """Whether torch.compile makes the step. auto: on CUDA, for runs of 2,000 steps and more."""
    device: str = "auto"
    """auto: the GPU if there is one."""
    log: Literal["tensorboard"] | None = None
    """tensorboard: figures and pictures for TensorBoard too, in the run's folder; needs the extra
    vaezoo[tensorboard]. Default: none."""
    seed: int = 0
    """Of shuffling, sampling and binarization in training."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _at_least(name, getattr(self, name), 1)
        intervals = ("steps", "validate_every", "checkpoint_every", "log_every", "patience")
        for name in intervals:
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        for name in ("lr_warmup_steps", "weight_decay", "seed"):
            _at_least(name, getattr(self, name), 0)
        for name in ("learning_rate", "clip_norm", "eps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{name} must be positive, not {value}")
        if self.seed >= 2**63:
            raise OptionError(f"seed must be less than 2**63, not {self.seed}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise OptionError(f"betas must lie in [0, 1), not {self.betas}")


@dataclass(frozen=True, kw_only=True)
class Resolved(TrainingConfig):
    """A TrainingConfig with nothing left open."""

    steps: int
    validate_every: int
    checkpoint_every: int
    log_every: int

    @property
    def autocast(self) -> torch.dtype | None:
        """The networks' precision, where it is not the parameters' own."""
        return torch.bfloat16 if self.precision == "bf16" else None


def resolve(config: TrainingConfig, steps_per_epoch: int) -> Resolved:
    """Decide what was left open: from the configured number of steps, never from a clock."""
    steps = config.steps or config.epochs * steps_per_epoch
    device = resolve_device(config.device)
    if config.lr_warmup_steps > steps:
        raise OptionError(
            f"lr_warmup_steps is {config.lr_warmup_steps}, more than the {steps} steps of the run"
        )
    validate_every = config.validate_every or max(1, min(steps_per_epoch, -(-steps // 4)))
    execution, precision = config.execution, config.precision
    if execution == "auto":
        execution = "compiled" if device.type == "cuda" and steps >= COMPILE_PAYS else "eager"
    if precision == "auto":
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if bf16 else "fp32"
    values = {name: getattr(config, name) for name in TrainingConfig.__dataclass_fields__}
    return Resolved(
        **{
            **values,
            "steps": steps,
            "epochs": max(1, -(-steps // steps_per_epoch)),
            "validate_every": validate_every,
            "checkpoint_every": config.checkpoint_every or validate_every,
            "log_every": config.log_every or max(1, steps // 100),
            "execution": execution,
            "precision": precision,
            "device": str(device),
        }
    )


def resolve_device(name: str) -> torch.device:
    """The device of that name, which must be there. Raises OptionError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"device {name!r} cannot be used: {reason}") from error
    return device


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise OptionError(f"{name} must be at least {least}, not {value}")

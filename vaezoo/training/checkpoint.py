"""Checkpoints: the full state of a training run in safetensors and JSON, written atomically."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from vaezoo.errors import CheckpointError
from vaezoo.files import dump_json, write_atomic
from vaezoo.tensor_files import checksum
from vaezoo.training.step import TrainingStep

FORMAT = 1
KEPT = 2  # the newest ones: should one be damaged, there is another
TENSORS, PROGRESS = "state.safetensors", "progress.json"
CHECKSUM = "sha256"  # of the tensors
KEYS = ("step", "best", "without_improvement", "names")


@dataclass
class State:
    """A checkpoint in memory. progress: what is no tensor, JSON-ready."""

    tensors: dict[str, Tensor]
    progress: dict[str, Any]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``prefix/``, without it."""
        start = f"{prefix}/"
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


def capture(step: TrainingStep, best: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Model and its mean, objective, optimizers, sums, step and random state as tensors."""
    tensors = {
        **_named("model", step.model.state_dict()),
        **_named("objective", step.model.objective.state_dict()),
        **_named("best", best or {}),
        "random/cpu": torch.get_rng_state(),
        "step": step.step,
    }
    if step.average is not None:
        tensors |= _named("average", step.average.means)
    if step.device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(step.device)
    for update in step.updates:
        for index, values in update.optimizer.state_dict()["state"].items():
            tensors |= _named(f"optimizer/{update.phase.name}/{index}", values)
        if update.sums is not None:
            tensors[f"sums/{update.phase.name}"] = update.sums
    return {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}


def restore(step: TrainingStep, state: State, path: Path) -> None:
    """Put a captured state back. Raises CheckpointError if it does not fit."""
    try:
        _load_module(step.model, state.group("model"))
        _load_module(step.model.objective, state.group("objective"))
        for update in step.updates:
            _load_optimizer(update.optimizer, state.group(f"optimizer/{update.phase.name}"))
            sums = state.tensors.get(f"sums/{update.phase.name}")
            update.sums = None if sums is None else sums.to(step.device)
            update.names = tuple(state.progress["names"].get(update.phase.name, ()))
        if step.average is not None:
            step.average.load(state.group("average"))
        step.step.copy_(state.tensors["step"])
        torch.set_rng_state(state.tensors["random/cpu"])
        if step.device.type == "cuda" and "random/cuda" in state.tensors:
            torch.cuda.set_rng_state(state.tensors["random/cuda"], step.device)
    except (LookupError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path} does not fit this run: {reason}") from error


def write(folder: Path, number: int, state: State) -> Path:
    """Write a checkpoint in one step, then remove all but the newest ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".writing-*"):  # by a process that was killed
        shutil.rmtree(left)
    path = folder / f"step-{number:08d}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        whole = Path(temporary) / path.name
        write_atomic(whole / TENSORS, safetensors.torch.save(state.tensors))
        head = {"format": FORMAT, CHECKSUM: checksum(state.tensors)}
        write_atomic(whole / PROGRESS, dump_json({**state.progress, **head}))
        if path.exists():  # the same step again, after a resume
            shutil.rmtree(path)
        whole.rename(path)
    for old in _all(folder)[:-KEPT]:
        shutil.rmtree(old)
    return path


def newest(folder: Path) -> tuple[State, Path] | None:
    """The newest checkpoint that can be read; a damaged one is passed over with a warning."""
    damaged: list[CheckpointError] = []
    for path in reversed(_all(folder)):
        try:
            state = read(path)
        except CheckpointError as error:
            damaged.append(error)
            continue
        for reason in damaged:
            message = f"{reason}; the older checkpoint {path} is used"
            warnings.warn(message, UserWarning, stacklevel=2)
        return state, path
    if damaged:
        reasons = "; ".join(map(str, damaged))
        raise CheckpointError(
            f"no checkpoint in {folder} can be read ({reasons}): begin anew with overwrite "
            f"(--overwrite), or with the weights of the run's model (--init-from)"
        )
    return None


def read(path: Path) -> State:
    """A checkpoint from its folder. Raises CheckpointError."""
    try:
        progress = json.loads((path / PROGRESS).read_text(encoding="utf-8"))
        tensors = safetensors.torch.load_file(path / TENSORS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {path} is damaged: {error}") from error
    if not isinstance(progress, dict) or progress.get("format") != FORMAT:
        raise CheckpointError(f"the checkpoint {path} is none of this version of vaezoo")
    if lacking := [key for key in KEYS if key not in progress]:
        raise CheckpointError(f"the checkpoint {path} is damaged: it lacks {', '.join(lacking)}")
    if progress.get(CHECKSUM) not in (None, checksum(tensors)):
        raise CheckpointError(f"the checkpoint {path} is damaged: its tensors have changed")
    return State(tensors, progress)


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def _named(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": t for name, t in tensors.items() if isinstance(t, Tensor)}


def _load_module(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    module.load_state_dict(tensors, strict=True)


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Copied into what is there: a fused kernel reads a parameter and its moments in the order
    of their memory, which for channels_last differs from that of the file."""
    parameters = optimizer.param_groups[0]["params"]
    for name, tensor in tensors.items():
        index, key = name.split("/")
        place = optimizer.state[parameters[int(index)]][key]
        if place.shape != tensor.shape:
            raise ValueError(f"the optimizer's {name} has shape {tuple(tensor.shape)}")
        place.copy_(tensor)

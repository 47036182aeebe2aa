"""The batches that a run trains on: from data that are addressed, or from a stream."""

from __future__ import annotations

import torch

from vaezoo.checks import check_source
from vaezoo.data import Data, Source, StreamBatches, TrainingBatches
from vaezoo.data.batches import check_batching
from vaezoo.data.host_batches import HostBatches
from vaezoo.errors import OptionError
from vaezoo.model import VAE
from vaezoo.objectives import Objective
from vaezoo.training.config import BATCH, EPOCHS, Resolved, TrainingConfig


def training_batches(
    model: VAE, data: Data, config: TrainingConfig, device: str = "cpu"
) -> TrainingBatches | StreamBatches:
    """Raises OptionError or DataError for what cannot be batched as configured."""
    size = config.batch_size or BATCH
    if data.stream is None and not fits(data.train, device, config.data_memory):
        return HostBatches(
            data.train,
            batch_size=size,
            seed=config.seed,
            binarization=config.binarization,
            device=device,
        )
    if data.stream is None:
        return TrainingBatches(
            data.train.to(device),
            batch_size=size,
            seed=config.seed,
            binarization=config.binarization,
        )

    def check(part: Source) -> None:
        check_batching(part, size, config.binarization)
        check_source(model, part, "its examples")

    unknown = config.steps is None and data.stream.size is None
    return StreamBatches(
        data.stream,
        batch_size=size,
        seed=config.seed,
        binarization=config.binarization,
        passes=(config.epochs or EPOCHS) if unknown else None,
        device=device,
        check=check,
    )


def fits(source: Source, device: str, limit: float | None) -> bool:
    """Whether the data may lie on the device. limit: GiB of it; None: half of what is free."""
    if limit is not None:
        return source.nbytes <= limit * 2**30
    if torch.device(device).type != "cuda":
        return True
    return source.nbytes <= torch.cuda.mem_get_info(device)[0] / 2


def num_examples(model: VAE, batches: TrainingBatches | StreamBatches, config: Resolved) -> int:
    """What ``prepare`` is told: of a stream of unknown length, all that the run will see.

    Raises OptionError where that is not known either, and somebody may want it.
    """
    if batches.num_examples is not None:
        return batches.num_examples
    if config.steps is not None:
        return config.steps * config.batch_size
    if type(model).prepare is VAE.prepare and type(model.objective).prepare is Objective.prepare:
        return config.batch_size  # nobody looks at it
    raise OptionError(
        "this model must know how many training examples there are, and the length of the stream "
        "is not known: give steps, or its size, as in vaezoo.data.Stream(batches, size=50_000)"
    )

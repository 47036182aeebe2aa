"""What ``vaezoo train`` does when it is told nothing."""

from __future__ import annotations

from collections.abc import Mapping, Set
from math import log2
from typing import TYPE_CHECKING, Any

from vaezoo.networks.layers import patches
from vaezoo.networks.resnet import halved

if TYPE_CHECKING:
    from vaezoo.data import Data

VARIANT = "beta-vae"
DATA = "sprites"

# Each value gives way to a flag. Small batches, a rate that falls, and a KL that comes in slowly:
# what showed shape, place and size soonest on two CPU cores.
TRAINING: dict[str, Any] = {
    "steps": 13_000,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "lr_schedule": "cosine",
    "lr_warmup_steps": 100,
}
"""Options of training on the default data, for any variant, as in TrainingConfig."""

SIZES: dict[str, Any] = {
    "latent_dim": 10,
    "network": {"name": "conv", "patch": 4, "channels": [32, 32, 64], "activation": "silu"},
}
"""What any variant is offered for the default data, as ``vaezoo.create`` takes it."""

MODEL: dict[str, Any] = {**SIZES, "beta": 1.5, "warmup_steps": 10_000}
"""Options of the default variant on the default data, as ``vaezoo.create`` takes them."""

WARMUPS = ("lr_warmup_steps", "warmup_steps")

FEW = 5_000  # training examples
LATENTS = ("latent_dim", "latent_shape")


def for_steps(options: dict[str, Any], steps: int | None) -> dict[str, Any]:
    """Such options for a run of another length: a warm-up keeps its share of the run."""
    share = 1.0 if steps is None else steps / TRAINING["steps"]
    return {k: int(v * share) if k in WARMUPS else v for k, v in options.items()}


def offered(name: str, data: Data, said: Set[str]) -> dict[str, Any]:
    """What a model is offered for the data called ``name``; said: the options that the line gives.

    A spatial code comes with the network that makes it: who says one of the two gets neither.
    """
    offers = SIZES if name == DATA else for_few_images(data)
    taken = {*said, *LATENTS} if said & {*LATENTS} else {*said}
    if "latent_shape" in offers and taken & {"network", *LATENTS}:
        taken |= {"network", *LATENTS}
    return {option: value for option, value in offers.items() if option not in taken}


def for_few_images(data: Data) -> dict[str, Any]:
    """For images of 32 pixels and more, of which there are few: a spatial code.

    Of some hundred pictures, what their scenes have in common, and a short code would need, cannot
    be learned; what their small parts have in common can. Each place of a map of 16 by 16 codes
    what is there, and sigma is as small as that makes it, so that details are worth their nats.
    """
    shape = data.input_shape
    if len(shape) != 3 or min(shape[1:]) < 32 or len(data.train) >= FEW:
        return {}
    patch = 2 ** round(log2(min(shape[1:]) / 32))  # a map of about 32 by 32, then halved
    height, width = halved(patches(shape, patch))
    return {
        "network": {"name": "resnet", "patch": patch, "channels": [16, 32]},
        "latent_shape": (8, height, width),
        "likelihood": {"name": "gaussian", "sigma": "optimal"},
    }


def reason(offers: Mapping[str, Any]) -> str:
    """What a person should know of them; nothing of those that are no surprise."""
    if "latent_shape" not in offers:
        return ""
    shape = "x".join(map(str, offers["latent_shape"]))
    return (
        f"few images: a spatial code of {shape} keeps their details; for one short code per image "
        f"say --model.latent-dim 16"
    )

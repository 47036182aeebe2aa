"""Saving and loading."""

from __future__ import annotations

import tempfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vaezoo.errors import CheckpointError
from vaezoo.model import VAE
from vaezoo.testing.learn import train
from vaezoo.testing.report import expect, expect_equal, fail
from vaezoo.testing.subject import Subject
from vaezoo.weights import load, save


def saving(subject: Subject) -> None:
    """A trained model that is saved and loaded has the same config and tensors and gives the same
    outputs, bit for bit; a file that lacks a tensor, or has one too many, is refused."""
    model, batch = subject.model(noise=0.02), subject.batch()
    train(model, batch, steps=3)
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(model, path)
        loaded = load(path)
        _strict(path, model)
    expect(
        loaded.config == model.config,
        expected=f"the config {model.config}",
        found=repr(loaded.config),
        look="the recipe: does it change what it is given?",
    )
    look = "state that is no parameter and no persistent buffer"
    for name, tensor in model.state_dict().items():
        expect_equal(loaded.state_dict()[name], tensor, name, look)
    names = outputs(subject, model)
    for name, tensor in outputs(subject, loaded).items():
        expect_equal(tensor, names[name], f"{name}() as before saving", look)


def outputs(subject: Subject, model: VAE) -> dict[str, Tensor]:
    """What a user sees of a model."""
    batch = subject.batch()
    found = {
        "reconstruct": model.reconstruct(batch.x, batch.y),
        "sample": model.sample(5, subject.labels(5), seed=3),
        "embed": model.embed(batch.x, batch.y),
    }
    if model.bound != "none":
        found["elbo"] = model.elbo(batch.x, batch.y, seed=4)
    return found


def _strict(path: Path, model: VAE) -> None:
    with safetensors.safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    more = {**tensors, "one.too.many": torch.zeros(1)}
    damaged = {"has one tensor too many": more}
    if tensors:
        first, *others = tensors
        damaged[f"lacks {first}"] = {name: tensors[name] for name in others}
    for damage, content in damaged.items():
        safetensors.torch.save_file(content, path, metadata)
        try:
            load(path)
        except CheckpointError:
            continue
        fail(
            expected=f"a CheckpointError from a file that {damage}",
            found="a model",
            look=f"_load_from_state_dict or load_state_dict of {type(model).__qualname__}",
        )

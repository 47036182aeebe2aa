"""Saving and loading."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
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
    outputs, bit for bit; a file or state that lacks a tensor, or has one too many, is refused."""
    model, batch = subject.model(noise=0.02), subject.batch()
    train(model, batch, steps=3)
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(model, path)
        loaded = load(path)
        _strict_file(path, model)
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
    _strict_state(loaded)


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


def _strict_file(path: Path, model: VAE) -> None:
    with safetensors.safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    for damage, content in _damaged(tensors).items():
        safetensors.torch.save_file(content, path, metadata)
        _refuses(lambda: load(path), CheckpointError, f"a file that {damage}", model)


def _strict_state(model: VAE) -> None:
    """What a checkpoint, or a user, does with it."""
    for damage, content in _damaged(model.state_dict()).items():
        take = functools.partial(model.load_state_dict, content)
        _refuses(take, RuntimeError, f"a state that {damage}", model)


def _damaged(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors of which there are one too many or too few, by what is wrong with them."""
    found = {"has one tensor too many": {**tensors, "one.too.many": torch.zeros(1)}}
    if tensors:
        first, *others = tensors
        found[f"lacks {first}"] = {name: tensors[name] for name in others}
    return found


def _refuses(
    take: Callable[[], object], refusal: type[Exception], damaged: str, model: VAE
) -> None:
    try:
        take()
    except refusal:
        return
    fail(
        expected=f"a {refusal.__name__} from {damaged}",
        found="a model: loading is not strict",
        look=f"_load_from_state_dict or load_state_dict of {type(model).__qualname__}",
    )

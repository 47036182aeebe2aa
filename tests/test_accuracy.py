"""Predicted labels, and the metric accuracy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from training_helpers import images, small

import vaezoo
from vaezoo.data import TensorSource

C = 3


def test_a_conditional_model_predicts_by_bayes_rule() -> None:
    model, x = small("cvae", num_classes=C), images(6)
    elbos = [model.elbo(x, torch.full((6,), y), seed=4) for y in range(C)]
    expected = torch.stack(elbos, 1).softmax(1)
    found = model.predict_proba(x, seed=4)
    assert torch.equal(found, expected)
    assert torch.allclose(found.sum(1), torch.ones(6))
    assert torch.equal(model.predict(x, seed=4), expected.argmax(1))
    assert torch.equal(model.predict(x), model.predict(x))


def test_it_finds_the_label_that_explains_an_image() -> None:
    x = images(60)
    rows = x.sum((1, 3)).argmax(1)
    model = small("cvae", num_classes=6)
    vaezoo.fit(model, (x, rows), steps=200, batch_size=20, learning_rate=1e-2, progress=False)
    assert vaezoo.evaluate(model, (x, rows), ["accuracy"])["accuracy"] > 0.95


def test_what_ignores_labels_predicts_none() -> None:
    with pytest.raises(vaezoo.DataError, match=r"predicts no labels.*embed"):
        small().predict(images(2))
    model = small("cvae", num_classes=C)
    model.bound = "none"
    with pytest.raises(vaezoo.NoBoundError):
        model.predict(images(2))


def fixed(monkeypatch: pytest.MonkeyPatch, predicted: Tensor) -> vaezoo.VAE:
    """A model that predicts these labels."""
    model = small("m2-vae", num_classes=C)
    monkeypatch.setattr(model, "predict", lambda x, seed=0: predicted)
    return model


def test_accuracy_is_over_labelled_examples_with_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = fixed(monkeypatch, torch.tensor([0, 1, 2, 0, 1, 2]))
    y = torch.tensor([0, 1, 1, -1, 1, -1])
    figures = vaezoo.evaluate(model, TensorSource(images(6), y, C), ["accuracy"])
    assert figures["accuracy"] == 0.75
    assert figures["accuracy_standard_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert (figures["labelled"], figures["examples"]) == (4, 6)


def test_the_figures_of_a_semi_supervised_model_have_its_accuracy() -> None:
    model = small("m2-vae", num_classes=C)
    y = torch.arange(6) % C
    assert {"elbo", "accuracy", "labelled"} < {*vaezoo.evaluate(model, (images(6), y))}
    assert "accuracy" not in vaezoo.evaluate(model, images(6))


@pytest.mark.parametrize(("y", "message"), [(None, "have no labels"), (-1, "all of these are")])
def test_accuracy_needs_labels(y: int | None, message: str) -> None:
    model = small("m2-vae", num_classes=C)
    labels = None if y is None else torch.full((6,), y)
    source = TensorSource(images(6), labels, None if y is None else C)
    with pytest.raises(vaezoo.DataError, match=message):
        vaezoo.evaluate(model, source, ["accuracy"])


def test_accuracy_needs_a_model_that_predicts() -> None:
    with pytest.raises(vaezoo.DataError, match="predicts no labels"):
        vaezoo.evaluate(small(), (images(6), torch.arange(6) % C), ["accuracy"])

"""Models side by side: which images stand where, and what each model is asked for."""

from __future__ import annotations

import pytest
import torch
from picture_helpers import writings
from test_figures import Fake, cells, flat

from vaezoo.errors import DataError
from vaezoo.pictures.comparison import comparison


class Far(Fake):
    """A second model, told apart by its greys."""

    def reconstruct(self, x, y=None):
        return super().reconstruct(x, y) + 100 / 255

    def sample(self, n, y=None, seed=None):
        return super().sample(n, y, seed) + 200 / 255


def test_originals_stand_over_all_reconstructions_and_these_over_all_samples():
    x, y = flat(torch.tensor([1, 2, 3])), torch.tensor([4, 5, 6])
    plain, labelled = Fake(), Far(num_classes=2)
    sheet = comparison({"plain": plain, "labelled": labelled}, x, y, of="some data", seed=9)
    assert cells(sheet) == [
        [1, 2, 3],
        [101, 102, 103],
        [201, 202, 203],
        [0, 1, 2],
        [205, 215, 205],  # the classes in turn
    ]
    assert (plain.asked["y"], plain.asked["seed"], plain.asked["n"]) == (None, 9, 3)
    assert labelled.asked["seed"] == 9


def test_labels_go_to_the_models_that_take_them():
    asked = {}

    class Asks(Fake):
        def reconstruct(self, x, y=None):
            asked[self.num_classes] = y
            return x

    y = torch.tensor([1, 0])
    comparison({"a": Asks(), "b": Asks(num_classes=2)}, flat(torch.tensor([1, 2])), y)
    assert asked[None] is None
    assert asked[2] is y


def test_the_models_without_a_bound_are_named(monkeypatch):
    said = writings(monkeypatch)
    x = flat(torch.arange(20))
    comparison({"plain": Fake(), "bare": Fake(bound="none")}, x)
    assert "which no likelihood bound fits to the codes of bare" in " ".join(said)
    said.clear()
    comparison({"plain": Fake(), "other": Fake()}, x)
    assert "fits" not in " ".join(said)


def test_what_is_no_image_is_refused():
    with pytest.raises(DataError, match="originals"):
        comparison({"plain": Fake()}, torch.rand(3, 5))

"""Which examples the pictures of a run show."""

from __future__ import annotations

import pytest
import torch

from vaezoo.data import Data, TensorSource
from vaezoo.report import described, examples, most_active, shown_split

X = torch.rand(40, 1, 3, 4, generator=torch.Generator().manual_seed(0))


class Means:
    """A model whose posterior means are the first pixels of what it is shown."""

    num_classes = None
    device = torch.device("cpu")

    def embed(self, x, y):
        self.shown = x
        return x.flatten(1)[:, :5] * torch.tensor([0.1, 3, 2, 0.2, 1])


def test_the_test_split_is_shown_if_there_is_one():
    source = TensorSource(X)
    data = Data(name="mine", description={}, train=source, validation=source)
    assert shown_split(data)[0] == "validation"


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("none", ""),
        ("threshold", ", binarized (threshold)"),
        ("static", ", binarized (static)"),
        ("dynamic", ", binarized (static)"),
    ],
)
def test_examples_are_shown_as_the_model_takes_them_and_the_caption_says_so(kind, suffix):
    data = Data(name="mine", description={}, train=TensorSource(X))
    assert described(data, "test", kind) == f"mine, test split{suffix}"
    x, _ = examples(data.train, [3, 1], kind)
    assert x.shape == (2, 1, 3, 4)
    assert (set(x.unique().tolist()) <= {0.0, 1.0}) == (kind != "none")


def test_the_most_active_dimensions_are_those_of_binarized_images():
    model = Means()
    assert most_active(model, TensorSource(X), "dynamic", n=3) == [1, 2, 4]
    assert set(model.shown.unique().tolist()) == {0.0, 1.0}

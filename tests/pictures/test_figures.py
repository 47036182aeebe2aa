"""The figures: which images stand where, and what the model is asked for."""

from __future__ import annotations

import sys
from itertools import groupby

import pytest
import torch

from vaezoo.errors import DataError
from vaezoo.pictures import class_samples, reconstructions, samples, text, traversals
from vaezoo.pictures import figures as figures_module
from vaezoo.pictures.axes import even_labels

GREY_OF = 1 / 255  # One step of a byte: images of one value can be told apart exactly.


class Fake:
    """A model whose images are of one value each, which says what they are."""

    def __init__(self, num_classes=None, latent_dim=5, bound="exact"):
        self.bound = bound
        self.num_classes = num_classes
        self.latent_dim = latent_dim
        self.asked = {}

    def reconstruct(self, x, y=None):
        self.asked = {"y": y}
        return x + 100 * GREY_OF

    def sample(self, n, y=None, seed=None):
        self.asked = {"n": n, "y": y, "seed": seed}
        values = torch.arange(n) if y is None else 10 * y + 5
        return flat(values)

    def traverse(self, x, dims=None, *, steps=11, limit=3.0, y=None):
        self.asked = {"x": x, "dims": dims, "steps": steps, "limit": limit, "y": y}
        values = torch.tensor([[10 * d + s for s in range(steps)] for d in dims])
        return flat(values.flatten()).unflatten(0, values.shape)


def flat(values):
    """Values (N,) to images (N, 1, 8, 8) of one grey each."""
    return (values.float() * GREY_OF).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def cells(sheet, cell=56):
    """The grey value of every cell, row by row, found as squares of one colour."""
    found = []
    y = 0
    while y < sheet.height:
        row = []
        x = 0
        line = [sheet.getpixel((i, y)) for i in range(sheet.width)]
        for color, same in groupby(line):
            length = len(list(same))
            square = sheet.crop((x, y, x + length, y + length))
            if length >= cell and color != text.PAPER and len(square.getcolors()) == 1:
                row.append(color[0])
                height = length
            x += length
        if row:
            found.append(row)
        y += height if row else 1
    return found


def captions(monkeypatch):
    """What the sheets that are drawn from now on say."""
    drawn = {}
    original = figures_module.draw_sheet

    def remember(rows, columns, **options):
        drawn.update(options)
        return original(rows, columns, **options)

    monkeypatch.setattr(figures_module, "draw_sheet", remember)
    # The package hands on a function of the same name as this module.
    monkeypatch.setattr(sys.modules["vaezoo.pictures.grid"], "draw_sheet", remember)
    return drawn


def test_each_original_stands_right_above_its_reconstruction(monkeypatch):
    drawn = captions(monkeypatch)
    x = flat(torch.arange(10, 17))
    sheet = reconstructions(Fake(), x, columns=4)
    assert cells(sheet) == [
        [10, 11, 12, 13],
        [110, 111, 112, 113],
        [14, 15, 16],
        [114, 115, 116],
    ]
    assert drawn["row_labels"] == ["original", "reconstruction"] * 2


def test_pairs_stand_further_apart_than_an_original_and_its_reconstruction():
    sheet = reconstructions(Fake(), flat(torch.arange(10, 14)), columns=2, caption="")
    column = [sheet.getpixel((sheet.width - 40, y)) for y in range(sheet.height)]
    gaps = [len(list(same)) for color, same in groupby(column) if color == text.PAPER][1:-1]
    assert gaps[0] == gaps[2]
    assert gaps[1] >= 2 * gaps[0]


def test_fifty_images_make_two_pairs_of_rows_of_25():
    rows = cells(reconstructions(Fake(), flat(torch.arange(10, 60))))
    assert [len(row) for row in rows] == [25] * 4


def test_labels_reach_the_model():
    model, y = Fake(num_classes=4), torch.tensor([3, 1])
    reconstructions(model, flat(torch.arange(2)), y)
    assert model.asked["y"] is y


def test_a_reconstruction_of_another_shape_is_refused():
    model = Fake()
    model.reconstruct = lambda x, y: x[:, :, 1:]
    with pytest.raises(DataError, match=r"\(2, 1, 7, 8\).*\(2, 1, 8, 8\)"):
        reconstructions(model, flat(torch.arange(2)))


def test_vectors_have_no_reconstructions_to_draw():
    with pytest.raises(DataError, match=r"originals of shape \(4, 30\)"):
        reconstructions(Fake(), torch.rand(4, 30))


def test_samples_make_a_square_and_follow_the_seed():
    model = Fake()
    assert cells(samples(model, 9, seed=7)) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert model.asked == {"n": 9, "y": None, "seed": 7}


def test_samples_of_a_model_with_labels_have_a_column_for_each_class(monkeypatch):
    drawn = captions(monkeypatch)
    sheet = samples(Fake(num_classes=3), 6)
    assert cells(sheet) == [[5, 15, 25], [5, 15, 25]]
    assert drawn["column_labels"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("classes", "options", "shown"),
    [
        (3, {"n": 6}, "one class in each column"),
        (3, {"n": 6, "columns": 2}, "row by row of the classes 0 to 2 in turn"),
        (30, {"n": 36}, "row by row of the classes 0 to 29 in turn"),
        (30, {"n": 9}, "row by row of the classes 0 to 8, the first 9 of 30"),
    ],
)
def test_samples_of_a_model_with_labels_say_which_classes_they_show(
    monkeypatch, classes, options, shown
):
    drawn = captions(monkeypatch)
    samples(Fake(num_classes=classes), **options)
    assert drawn["caption"].endswith(f"from the prior, {shown}")


def test_captions_say_what_images_are(monkeypatch):
    drawn = captions(monkeypatch)
    reconstructions(Fake(), flat(torch.arange(2)), of="mnist, test split")
    assert drawn["caption"].endswith("the mean of p(x|z); mnist, test split")
    class_samples(Fake(num_classes=2))
    assert "means of p(x|z) at draws of z from the prior" in drawn["caption"]


def test_random_codes_of_a_model_without_a_bound_are_not_called_samples(monkeypatch):
    drawn = captions(monkeypatch)
    for draw, classes in ((samples, None), (samples, 3), (class_samples, 3)):
        draw(Fake(num_classes=classes, bound="none"))
        assert drawn["caption"].startswith("Decoded random codes: ")
        assert "a prior that no likelihood bound fits to the codes" in drawn["caption"]
        draw(Fake(num_classes=classes))
        assert drawn["caption"].startswith("Samples: ")
        assert "fits" not in drawn["caption"]


def test_class_samples_have_a_row_for_each_class(monkeypatch):
    drawn = captions(monkeypatch)
    model = Fake(num_classes=3)
    sheet = class_samples(model, per_class=4, classes=["shirt", "bag", "boot"], seed=2)
    assert cells(sheet) == [[5] * 4, [15] * 4, [25] * 4]
    assert drawn["row_labels"] == ["shirt", "bag", "boot"]
    assert model.asked["seed"] == 2


def test_class_samples_refuse_models_without_labels_and_wrong_names():
    with pytest.raises(DataError, match="takes no labels"):
        class_samples(Fake())
    with pytest.raises(DataError, match="2 class names for a model of 3"):
        class_samples(Fake(num_classes=3), classes=["a", "b"])


def test_traversals_have_a_labelled_row_for_each_dimension(monkeypatch):
    drawn = captions(monkeypatch)
    model, x, y = Fake(), flat(torch.tensor([50, 60])), torch.tensor([1, 0])
    sheet = traversals(model, x, y, dims=[4, 1], steps=3, limit=2.5)
    assert cells(sheet) == [[40, 41, 42], [10, 11, 12]]
    assert drawn["row_labels"] == ["z4", "z1"]
    assert drawn["column_labels"] == ["-2.5", "0.0", "2.5"]
    assert "-2.5 to 2.5" in drawn["caption"]
    assert model.asked["x"].shape == (1, 1, 8, 8)
    assert model.asked["y"].tolist() == [1]


def test_traversals_show_all_dimensions_or_say_that_they_are_the_first_16(monkeypatch):
    drawn = captions(monkeypatch)
    traversals(Fake(latent_dim=5), flat(torch.tensor([50])), steps=2)
    assert drawn["row_labels"] == ["z0", "z1", "z2", "z3", "z4"]
    assert "first" not in drawn["caption"]
    traversals(Fake(latent_dim=40), flat(torch.tensor([50])), steps=2)
    assert len(drawn["row_labels"]) == 16
    assert "the first 16 of 40" in drawn["caption"]


def test_column_labels_have_the_decimals_they_need():
    assert even_labels(-3.0, 3.0, 7) == ["-3", "-2", "-1", "0", "1", "2", "3"]
    assert even_labels(-3.0, 3.0, 11)[:2] == ["-3.0", "-2.4"]
    assert even_labels(-1.0, 1.0, 4) == ["-1.00", "-0.33", "0.33", "1.00"]
    assert even_labels(0.0, 1.0, 5) == ["0.00", "0.25", "0.50", "0.75", "1.00"]


def test_an_empty_or_wrong_traversal_is_refused():
    with pytest.raises(DataError, match="at least one dimension"):
        traversals(Fake(), flat(torch.tensor([50])), dims=[], steps=2)
    with pytest.raises(DataError, match="steps >= 2"):
        traversals(Fake(), flat(torch.tensor([50])), steps=1)
    for limit in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="finite limit > 0"):
            traversals(Fake(), flat(torch.tensor([50])), limit=limit)


@pytest.mark.parametrize("draw", [reconstructions, traversals])
def test_a_caption_of_ones_own_replaces_the_default(draw, monkeypatch):
    drawn = captions(monkeypatch)
    draw(Fake(), flat(torch.tensor([50])), caption="mine")
    assert drawn["caption"] == "mine"


def test_default_captions_need_no_character_that_the_font_lacks(monkeypatch):
    drawn = captions(monkeypatch)
    x = flat(torch.tensor([50]))
    for draw in (
        lambda: reconstructions(Fake(), x),
        lambda: samples(Fake(), 4),
        lambda: samples(Fake(num_classes=2), 4),
        lambda: class_samples(Fake(num_classes=2)),
        lambda: traversals(Fake(latent_dim=40), x, steps=2),
    ):
        draw()
        assert drawn["caption"]
        assert text.printable(drawn["caption"]) == drawn["caption"]

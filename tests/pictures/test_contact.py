"""A contact sheet shows examples, in rows of their classes where there are few."""

from __future__ import annotations

import pytest
import torch

from vaezoo.errors import DataError
from vaezoo.pictures import contact_sheet, text
from vaezoo.pictures.contact import MOST_CLASSES, few_of_each


def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every label that is drawn from now on."""
    said: list[str] = []
    original = text.fit

    def fit(labels, *rest):  # type: ignore[no-untyped-def]
        said.extend(labels)
        return original(labels, *rest)

    monkeypatch.setattr(text, "fit", fit)
    return said


def test_classes_have_rows_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    said = words(monkeypatch)
    y = torch.tensor([2, 0, 0, -1, 2])
    contact_sheet(torch.rand(5, 3, 6, 4), y, classes=("ant", "bee", "cow"))
    assert said == ["unlabelled", "ant", "cow"]
    said.clear()
    contact_sheet(torch.rand(5, 1, 6, 4), y)
    assert said == ["unlabelled", "0", "2"]


def test_without_labels_or_with_many_it_is_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    said = words(monkeypatch)
    plain = contact_sheet(torch.rand(50, 3, 6, 4))
    many = contact_sheet(torch.rand(50, 3, 6, 4), torch.arange(50), classes=["x"] * 50)
    assert plain.size == many.size
    assert not said


def test_a_few_of_each_class_are_chosen() -> None:
    y = torch.tensor([0, 0, 1, 0, 1, -1])
    assert few_of_each(y, 2, total=6).tolist() == [5, 0, 1, 2, 4]
    assert few_of_each(None, 2, total=6).tolist() == [0, 1, 2, 3]
    assert len(few_of_each(torch.arange(MOST_CLASSES + 1), 3, total=21)) == 9


def test_vectors_have_none() -> None:
    with pytest.raises(DataError, match="Cannot draw examples of shape"):
        contact_sheet(torch.rand(5, 7))

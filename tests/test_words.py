"""Counts in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vaezoo
from vaezoo.words import counted


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (0, "step", "0 steps"),
        (1, "step", "1 step"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (2000, "training example", "2,000 training examples"),
    ],
)
def test_one_thing_is_not_called_several(n: int, noun: str, words: str) -> None:
    assert counted(n, noun) == words


def test_so_it_is_in_errors(tmp_path: Path) -> None:
    with pytest.raises(vaezoo.DataError, match="1 example but 2 labels;"):
        vaezoo.data.as_data((torch.rand(1, 3), torch.tensor([0, 1])))
    (tmp_path / "t.csv").write_text("a\n1\n2,3\n")
    with pytest.raises(vaezoo.DataError, match="line 3 has 2 cells, and the file 1 column;"):
        vaezoo.data.as_data(str(tmp_path / "t.csv"))


def test_the_speed_is_of_examples(capsys: pytest.CaptureFixture[str]) -> None:
    model = vaezoo.create("vae", input_shape=(5,), latent_dim=2)
    vaezoo.fit(model, torch.randn(40, 5), steps=2, batch_size=8)
    told = capsys.readouterr().err
    assert "examples/s" in told
    assert "images" not in told

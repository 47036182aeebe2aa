"""The dSprites file is read as its authors made it, without opening the pickle in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaezoo.data import Data, as_data
from vaezoo.data.dsprites import FILE
from vaezoo.errors import DataError

N = 50


class Bomb:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemError('unpickled')",))


def arrays() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, [1, 3, 6, 40, 32, 32], (N, 6))
    return {
        "metadata": np.array(Bomb(), dtype=object),
        "imgs": generator.integers(0, 2, (N, 64, 64), dtype=np.uint8),
        "latents_values": classes.astype(np.float64),
        "latents_classes": classes,
    }


def written(tmp_path: Path, **other: Any) -> Path:
    values = {**arrays(), **other}
    kept = {key: value for key, value in values.items() if value is not None}
    bomb = kept.pop("metadata")
    path = tmp_path / FILE
    np.savez_compressed(path, metadata=bomb, **kept)
    return path


def read(path: Path | None, **options: Any) -> Data:
    return as_data({"name": "dsprites", "path": path, "validation": 7, "test": 9, **options})


def test_images_labels_and_factors_are_those_of_the_file(tmp_path: Path) -> None:
    values = arrays()
    data = read(written(tmp_path), validation=0, test=0)
    index = torch.tensor([4, 0, 33])
    x, y = data.train.examples(index)
    place = data.train.indices[index].numpy()
    assert (data.input_shape, x.dtype) == ((1, 64, 64), torch.uint8)
    assert np.array_equal(x[:, 0].numpy(), values["imgs"][place] * 255)
    assert y is not None
    assert y.tolist() == values["latents_classes"][place, 1].tolist()
    assert data.train.factors(index).tolist() == values["latents_classes"][place, 1:].tolist()
    assert data.classes == ("square", "ellipse", "heart")


def test_the_factors_are_called_as_those_of_sprites(tmp_path: Path) -> None:
    train, sprites = read(written(tmp_path)).train, as_data("sprites").train
    assert train.factor_names == sprites.factor_names
    assert train.factor_sizes == sprites.factor_sizes
    index = torch.arange(4)
    assert sprites.factors(index).shape == train.factors(index).shape == (4, 5)
    with pytest.raises(DataError, match="no known factors"):
        as_data(torch.zeros(N, 3)).train.factors(index)


def test_it_is_split_at_random_into_counts(tmp_path: Path) -> None:
    data = read(written(tmp_path))
    assert {n: len(s) for n, s in data.splits().items()} == {
        "train": 34,
        "validation": 7,
        "test": 9,
    }


def test_a_path_is_known_by_its_name_and_else_it_is_looked_for(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(DataError, match=r"validation \(2000\) and test \(5000\) leave none"):
        as_data(path)
    data = as_data({"name": "dsprites", "validation": 7, "test": 9}, root=tmp_path)
    assert len(data.train) == 34
    assert data.description["options"]["path"] is None
    (tmp_path / "dsprites").mkdir()
    path.rename(tmp_path / "dsprites" / FILE)
    assert len(as_data({"name": "dsprites", "test": 9, "validation": 7}, root=tmp_path).train)


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*dsprites_ndarray.*github\.com.*data-root"):
        as_data("dsprites", root=tmp_path)


def test_moving_leaves_the_original_where_it_was(tmp_path: Path) -> None:
    data = read(written(tmp_path))
    moved = data.train.to("meta")
    assert (moved.device.type, data.train.device.type) == ("meta", "cpu")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"imgs": None}, "is not dSprites: it lacks the array imgs"),
        ({"latents_classes": None}, "it lacks the array latents_classes"),
        ({"imgs": np.zeros((N, 32, 32), np.uint8)}, r"imgs is uint8 of shape \(50, 32, 32\)"),
        ({"imgs": np.zeros((N, 64, 64))}, "imgs is float64"),
        ({"imgs": np.full((N, 64, 64), 2, np.uint8)}, "of 0 and 1 alone"),
        ({"imgs": np.zeros((9, 64, 64), np.uint8)}, "9 images but 50 rows of factors"),
        ({"latents_classes": np.zeros((N, 5), int)}, r"integers \(N, 6\), not \(50, 5\)"),
        ({"latents_classes": np.full((N, 6), 50)}, "values beyond"),
    ],
)
def test_another_file_of_that_name_is_refused(
    tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, **other))


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=FILE):
        read(path)

"""A folder of images becomes data, the same each time, and what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from vaezoo.data import Data, as_data
from vaezoo.data.progress import listening
from vaezoo.errors import DataError, DataWarning, OptionError

H, W = 6, 9


def put(folder: Path, name: str, level: int = 7, size: tuple[int, int] = (H, W)) -> Path:
    """An RGB image of one colour, whose red says which it is."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (level, 100, 200)).save(path)
    return path


def many(folder: Path, n: int = 20) -> Path:
    for i in range(n):
        put(folder, f"{i:02}.png", level=i)
    return folder


def broken(folder: Path, name: str = "05.png") -> str:
    """One of ``many``, cut off."""
    whole = put(folder, name, size=(80, 90)).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    return name


def read(folder: Path, **options: Any) -> Data:
    return as_data({"name": "image-folder", "path": folder, **options})


def levels(data: Data, split: str = "train") -> list[int]:
    source = data.split(split)
    x, _ = source.examples(torch.arange(len(source)))
    assert x.dtype == torch.uint8
    return x[:, 0, 0, 0].tolist()


def labels(data: Data, split: str = "train") -> dict[int, int]:
    """The label of each level."""
    source = data.split(split)
    _, y = source.examples(torch.arange(len(source)))
    assert y is not None
    return dict(zip(levels(data, split), y.tolist(), strict=True))


def test_a_path_is_enough_where_all_images_agree(tmp_path: Path) -> None:
    data = as_data(many(tmp_path / "holiday"))
    assert (data.name, data.title, data.input_shape) == ("image-folder", "holiday", (3, H, W))
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 16,
        "validation": 2,
        "test": 2,
    }
    everything = [level for split in data.splits() for level in levels(data, split)]
    assert sorted(everything) == list(range(20))
    assert data.num_classes is None
    assert data.description["options"]["path"] == str(tmp_path / "holiday")


def test_it_is_the_same_each_time_and_the_seed_changes_who_is_held_out(tmp_path: Path) -> None:
    many(tmp_path)
    first, again, other = (levels(read(tmp_path, split_seed=s), "test") for s in (0, 0, 1))
    assert first == again != other


def test_the_shares_can_be_chosen(tmp_path: Path) -> None:
    data = read(many(tmp_path), validation=0.25, test=0)
    assert {n: len(s) for n, s in data.splits().items()} == {"train": 15, "validation": 5}


def test_what_is_recorded_makes_the_same_data_again(tmp_path: Path) -> None:
    data = read(many(tmp_path), image_size=(4, 8), resize="pad", mode="grey", test=0.2)
    description = dict(data.description)
    again = as_data({"name": description["name"], **description["options"]})
    assert again.description == description
    assert levels(again) == levels(data)


@pytest.mark.parametrize(("size", "shape"), [(4, (3, 4, 4)), ((4, 8), (3, 4, 8))])
def test_mixed_sizes_are_brought_to_the_one_that_is_asked_for(
    tmp_path: Path, size: Any, shape: tuple[int, ...]
) -> None:
    put(many(tmp_path), "tall.png", size=(40, 10))
    data = read(tmp_path, image_size=size)
    assert data.input_shape == shape
    assert data.preprocessing is not None
    assert data.preprocessing.shape == shape


def test_mixed_sizes_without_one_are_named(tmp_path: Path) -> None:
    put(many(tmp_path), "tall.png", size=(40, 10))
    with pytest.raises(DataError, match=r"00\.png is 6x9, tall\.png is 40x10.*--image-size 64"):
        read(tmp_path)


def test_the_mode_follows_the_files_unless_it_is_said(tmp_path: Path) -> None:
    Image.new("L", (W, H)).save(tmp_path / "a.png")
    Image.new("I;16", (W, H)).save(tmp_path / "b.png")
    assert read(tmp_path, validation=0, test=0).input_shape == (1, H, W)
    assert read(tmp_path, validation=0, test=0, mode="rgb").input_shape == (3, H, W)
    put(tmp_path, "c.png")
    assert read(tmp_path, validation=0, test=0).input_shape == (3, H, W)
    assert read(tmp_path, validation=0, test=0, mode="grey").input_shape == (1, H, W)


@pytest.mark.parametrize("size", [None, 4])
def test_a_corrupt_file_is_named(tmp_path: Path, size: int | None) -> None:
    many(tmp_path)
    (tmp_path / "05.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"05\.png .*--data\.corrupt skip"):
        read(tmp_path, image_size=size)


@pytest.mark.parametrize("size", [None, 4])
def test_corrupt_files_are_skipped_if_asked_and_counted(tmp_path: Path, size: int | None) -> None:
    broken(many(tmp_path), "07.png")
    (tmp_path / "05.png").write_bytes(b"no image")
    with pytest.warns(DataWarning, match=r"2 of 20 images .* skipped, the first: 0[57]\.png"):
        data = read(tmp_path, image_size=size or (80, 90), corrupt="skip", mode="auto")
    everything = sorted(level for split in data.splits() for level in levels(data, split))
    assert everything == [i for i in range(20) if i not in (5, 7)]
    assert data.description["skipped"] == 2


def test_a_folder_of_nothing_but_corrupt_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 1 image can be read; the first is a\.jpg"):
        read(tmp_path, corrupt="skip")


def test_sub_folders_are_classes_and_images_outside_of_them_unlabelled(tmp_path: Path) -> None:
    for i, name in enumerate(["cat/a.png", "cat/old/older/b.png", "dog/c.png", "d.png"]):
        put(tmp_path, name, level=i)
    data = read(tmp_path, validation=0, test=0)
    assert data.classes == ("cat", "dog")
    assert data.preprocessing.classes == ("cat", "dog")
    assert labels(data) == {0: 0, 1: 0, 2: 1, 3: -1}
    assert read(tmp_path, validation=0, test=0, labels=False).num_classes is None


def test_numbered_classes_are_sorted_as_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "2"):
        put(tmp_path, f"{name}/a.png")
    assert read(tmp_path, validation=0, test=0).classes == ("2", "9", "10")


def test_one_sub_folder_alone_is_no_class(tmp_path: Path) -> None:
    assert read(many(tmp_path / "2024").parent).num_classes is None


def test_folders_named_as_splits_are_the_splits(tmp_path: Path) -> None:
    level = 0
    for split, n in {"train": 10, "val": 3, "test": 4}.items():
        for i in range(n):
            level += 1
            put(tmp_path, f"{split}/{'cat' if i % 2 else 'dog'}/{i}.png", level=level)
    data = read(tmp_path)
    found = {name: sorted(levels(data, name)) for name in data.splits()}
    assert found == {
        "train": list(range(1, 11)),
        "validation": [11, 12, 13],
        "test": [14, 15, 16, 17],
    }
    assert data.classes == ("cat", "dog")
    assert "given as validation" in data.description["splits"]["validation"]["rule"]


def test_a_split_that_is_not_given_is_drawn_from_train(tmp_path: Path) -> None:
    many(tmp_path / "train")
    put(tmp_path, "test/a.png", level=99)
    data = read(tmp_path, validation=0.1)
    assert levels(data, "test") == [99]
    assert sorted(levels(data) + levels(data, "validation")) == list(range(20))
    assert "test" not in read(tmp_path / "train", test=0).splits()


def test_a_class_called_train_is_no_split(tmp_path: Path) -> None:
    for name in ("train", "bus", "car"):
        put(tmp_path, f"{name}/a.png")
    assert read(tmp_path, validation=0, test=0).classes == ("bus", "car", "train")


def test_a_class_that_training_does_not_know_is_named(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cow"):
        put(tmp_path, f"{name}/a.png")
    with pytest.raises(DataError, match=r"test/cow names the class 'cow'.*cat, dog"):
        read(tmp_path, validation=0)


def test_hidden_files_and_those_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    many(tmp_path)
    for name in (".hidden.png", ".cache/a.png", "__MACOSX/a.png"):
        put(tmp_path, name, level=99)
    (tmp_path / "notes.txt").write_text("x")
    data = read(tmp_path, validation=0, test=0)
    assert sorted(levels(data)) == list(range(20))


def test_links_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    many(tmp_path / "elsewhere", 5)
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "sub" / "circle").symlink_to(folder)
    assert sorted(levels(read(folder, validation=0, test=0))) == list(range(5))


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no images: images are files ending in .*\.jpg"):
        read(tmp_path)
    (tmp_path / "a.psd").write_text("x")
    with pytest.raises(DataError, match=r"holds 1 other files, such as a\.psd"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "no-such-folder"}, "no file or folder 'no-such-folder'"),
        ({"image_size": 4000, "memory": 0.1}, r"915\.5 MiB, more than the 102\.4"),
        ({"validation": 0.01, "test": 0.98}, "holds 20 examples, too few to hold out 20 for test"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        as_data({"name": "image-folder", "path": str(many(tmp_path)), **options})


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        read(put(tmp_path, "a.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size must be positive"),
        ({"validation": 0.6, "test": 0.4}, "leave nothing for training"),
        ({"test": 1.5}, r"must lie in \[0, 1\)"),
        ({"resize": "squash"}, "resize"),
        ({"imagesize": 3}, "Did you mean 'image_size'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        read(many(tmp_path), **options)


def test_who_listens_hears_how_far_it_is(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *what: heard.append(what)):
        read(many(tmp_path), image_size=4, mode="rgb")
    assert heard == [("reading images", i, 20) for i in range(1, 21)]
    read(tmp_path)
    assert len(heard) == 20


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read(many(tmp_path))
    assert capfd.readouterr() == ("", "")

"""Whatever holds examples becomes a source, or is refused with what would be accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
)

from vaezoo.data.convert import as_source
from vaezoo.data.source import Source, TensorSource
from vaezoo.errors import DataError

N, H, W = 7, 3, 5


class Items(Dataset[Any]):
    """A map-style dataset of the items of a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield torch.zeros(3)


def everything(source: Source) -> tuple[torch.Tensor, torch.Tensor | None]:
    return source.examples(torch.arange(len(source)))


def pixels() -> np.ndarray[Any, Any]:
    return np.arange(N * H * W, dtype=np.uint8).reshape(N, H, W)


def test_a_source_is_itself() -> None:
    source = TensorSource(torch.zeros(N, 2))
    assert as_source(source) is source


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (np.uint8, torch.uint8),
        (np.bool_, torch.float32),
        (np.float16, torch.float32),
        (np.float64, torch.float32),
        (">f4", torch.float32),
    ],
)
def test_arrays_keep_uint8_and_otherwise_become_float32(dtype: Any, kept: torch.dtype) -> None:
    array = (pixels() % 2).astype(dtype)
    x, y = everything(as_source(array))
    assert (x.dtype, y) == (kept, None)
    assert torch.equal(x.float(), torch.from_numpy(pixels() % 2).float())


@pytest.mark.parametrize("view", [lambda a: a[::-1], lambda a: a.transpose(0, 2, 1)])
def test_array_views_are_read_as_they_look(view: Any) -> None:
    array = view(pixels().astype(np.float32))
    array.flags.writeable = False
    x, _ = everything(as_source(array))
    assert x.tolist() == array.tolist()


@pytest.mark.parametrize("make", [tuple, list])
@pytest.mark.parametrize(
    "labels", [torch.arange(N), np.arange(N, dtype=np.uint16), list(range(N))]
)
def test_a_pair_is_examples_and_labels(make: Any, labels: Any) -> None:
    source = as_source(make([pixels(), labels]), num_classes=9)
    _, y = everything(source)
    assert y is not None
    assert y.tolist() == list(range(N))
    assert source.num_classes == 9


def test_examples_alone_in_a_tuple_have_no_labels() -> None:
    assert as_source((torch.zeros(N, 2),)).num_classes is None


def test_a_torch_dataset_is_read_with_its_labels() -> None:
    x = torch.rand(N, 2, H)
    source = as_source(TensorDataset(x, torch.arange(N)))
    read, y = everything(source)
    assert torch.equal(read, x)
    assert y is not None
    assert y.tolist() == list(range(N))


def test_items_may_be_arrays_without_labels() -> None:
    source = as_source(Items([row.astype(np.float64) for row in pixels()]))
    assert source.shape == (H, W)
    assert everything(source)[0].dtype == torch.float32
    assert source.num_classes is None


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("P", 3)])
def test_images_are_kept_as_uint8_with_channels_first(mode: str, channels: int) -> None:
    images = [Image.new(mode, (W, H), color=1 if mode == "1" else 7) for _ in range(4)]
    source = as_source(Items([(image, np.int64(i)) for i, image in enumerate(images)]))
    x, y = everything(source)
    assert source.shape == (channels, H, W)
    assert x.dtype == torch.uint8
    assert y is not None
    assert y.tolist() == [0, 1, 2, 3]
    if mode == "L":
        assert set(x.flatten().tolist()) == {7}


def test_the_pixels_of_an_image_keep_their_places() -> None:
    colour = np.arange(H * W * 3, dtype=np.uint8).reshape(H, W, 3)
    x, _ = everything(as_source(Items([Image.fromarray(colour)])))
    assert x[0].tolist() == colour.transpose(2, 0, 1).tolist()


def test_a_loader_is_read_through_its_dataset() -> None:
    x = torch.rand(N, 4)
    source = as_source(DataLoader(TensorDataset(x), batch_size=3, shuffle=True, drop_last=True))
    assert torch.equal(everything(source)[0], x)


def test_a_loader_that_picks_or_changes_examples_is_refused() -> None:
    dataset = TensorDataset(torch.rand(N, 4))
    for loader in (
        DataLoader(dataset, sampler=SubsetRandomSampler([1, 2])),
        DataLoader(dataset, collate_fn=lambda items: items),
    ):
        with pytest.raises(DataError, match="sampler or a collate_fn of its own"):
            as_source(loader)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3.5, "cannot be a float; give a dataset's name, .* torch Dataset"),
        (None, "cannot be a NoneType"),
        ((), "cannot be a tuple of nothing"),
        ([[1.0], [2.0]], "cannot be a list of list, list"),
        ((torch.zeros(2, 2),) * 3, "cannot be a tuple of Tensor, Tensor, Tensor"),
        (np.zeros((N, 2, 2), dtype=np.int32), "torch.int32; convert"),
        (np.zeros((N, 2, 2), dtype=np.uint16), "torch.uint16; convert"),
        (np.array([["a"], ["b"]]), "numeric, not <U1; convert"),
        (np.zeros((N, 2), dtype=complex), "numeric, not complex128"),
        (np.full((N, 2), 1e300), "7 of 7 examples hold NaN, infinity"),
        ((torch.zeros(2, 2), [0.0, 1.0]), "integers, one per example, not float64"),
        ((torch.zeros(2, 2), [[0], [1, 2]]), "integers, one per example"),
        ((torch.zeros(2, 2), np.zeros(3, dtype=int)), "2 examples but 3 labels"),
        (Stream(), "Stream is not map-style"),
        (Items([]), "Items is empty"),
        (Items([torch.zeros(2), torch.zeros(2), torch.zeros(3)]), r"item 2 is .*\(3,\)"),
        (Items([torch.zeros(2), torch.zeros(2, dtype=torch.uint8)]), "item 1 is uint8"),
        (Items([(torch.zeros(2), 1), torch.zeros(2)]), "item 0 has a label, item 1 has no label"),
        (Items([(torch.zeros(2), 1), (torch.zeros(2), 0.5)]), "label of item 1 .* 0.5"),
        (Items([(torch.zeros(2), 1), (torch.zeros(2), "cat")]), "label of item 1 .* 'cat'"),
        (Items([torch.zeros(2), "cat"]), "item 1 is a str"),
        (Items([(torch.zeros(2), 0, 0)]), "item 0 is a tuple"),
        (Items([Image.new("CMYK", (2, 3))]), "item 0: .*not mode 'CMYK'; convert"),
        (Items([np.array(["a"])]), "item 0: arrays must be numeric"),
        (Items([3.5, 1.5]), "item 0 is a float"),
    ],
)
def test_what_is_no_data_is_refused_with_the_reason(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_source(data)


class Torn(Items):
    def __getitem__(self, index: int) -> Any:
        if index == 3:
            raise OSError("scan 3 is torn")
        return super().__getitem__(index)


@pytest.mark.parametrize("kind", [lambda data: data, DataLoader])
def test_an_item_that_raises_is_named(kind: Any) -> None:
    with pytest.raises(DataError, match="item 3 of Torn cannot be read: OSError: scan 3") as told:
        as_source(kind(Torn([torch.rand(2)] * 5)))
    assert isinstance(told.value.__cause__, OSError)

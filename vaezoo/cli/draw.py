"""``vaezoo sample`` and ``traverse``: pictures of a trained model, or samples in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaezoo.cli.arguments import CorruptFlag, HowMany, ModelPath, Unset, parse
from vaezoo.cli.examples import Batched, batch_size, check_batch_size, label_of
from vaezoo.cli.made import Made, check_made, is_sheet, write_made
from vaezoo.cli.outputs import CSV
from vaezoo.cli.tables import line
from vaezoo.cli.usage import UsageError, check_seed, tell
from vaezoo.errors import DataError
from vaezoo.registry.paths import check_readable
from vaezoo.words import counted

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from vaezoo.cli.saved import Saved
    from vaezoo.data import Source

N = 64
PER_CLASS = 10
THROUGH_CODES = (
    "write codes with `vaezoo encode RUN --out z.csv`, change them, and see what they stand for "
    "with `vaezoo decode RUN z.csv --out rows.csv`"
)
MOST = 1000
"""More images than this make a sheet that nobody can look at."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What all of them take."""

    path: ModelPath = ""
    """A run's folder, a model's folder, or a weights file."""
    out: Unset[Path] = None
    """The PNG file to write. Default: among the run's samples; of a model alone, here."""
    device: str = "auto"
    """auto: the GPU if there is one."""


@dataclass(frozen=True, kw_only=True)
class Sample(Drawing, Batched):
    """What ``vaezoo sample`` takes."""

    out: Unset[Path] = None
    """A .png file: one sheet. A folder (any name without an ending): each sample a PNG file. A
    file of rows (.csv), in the units of the training file, or of arrays (.safetensors, .npz,
    .npy). Default: a sheet, or of a table samples.csv, among the run's samples; of a model alone,
    here."""
    n: HowMany = None
    """How many. Default: 64; of a model with labels, so many of each class, and 10."""
    label: Unset[str] = None
    """Of a model with labels: this class only, a name or a number from 0."""
    seed: int = 0
    """Of the draws from the prior."""


@dataclass(frozen=True, kw_only=True)
class FromData(Drawing):
    """What starts from examples takes."""

    data: Unset[str] = None
    """Data to take examples of, a name or a path. Default: the run's. The test split, else what
    there is."""
    data_root: Unset[Path] = None
    """Where data sets are kept. Default: $VAEZOO_DATA, else the cache folder."""
    corrupt: CorruptFlag = None


@dataclass(frozen=True, kw_only=True)
class Traverse(FromData):
    """What ``vaezoo traverse`` takes."""

    index: int = 0
    """Which example to start from."""
    dims: Unset[tuple[int, ...]] = None
    """Latent dimensions to move. Default: the ten that vary most over the data."""
    limit: float = 3.0
    """A dimension goes from -limit to limit."""
    steps: int = 11
    """Images in a row."""


def sample(argv: Sequence[str]) -> None:
    """``vaezoo sample``."""
    asked = parse(Sample, argv, "sample", "Draw samples from a trained model's prior.")
    check_seed(asked.seed)
    check_batch_size(asked)
    if asked.n is not None and asked.n < 1:
        raise UsageError(f"--n must be at least 1, not {asked.n}")
    if not is_sheet(asked.out):
        check_made(asked.out, "sample", sheet=True, overwrite=asked.overwrite)
    elif asked.out is not None:  # else it depends on the model what is made
        check_count("--n", asked.n)
    from vaezoo import pictures

    saved = open_model(asked, "sample")
    model, classes = saved.model, saved.model.num_classes
    label = None if asked.label is None else label_of(saved, asked.label)
    if model.bound == "none":
        tell(f"these are no samples of a fitted prior. {pictures.drawn(model)}")
    out = asked.out
    if out is None and len(model.input_shape or ()) == 1:
        out = check_made(
            saved.picture("samples.csv"), "sample", sheet=False, overwrite=asked.overwrite
        )
    if out is not None and not is_sheet(out):
        _write_samples(saved, asked, out, label)
        return
    check_images_of(saved, "sample", "write them to a file, as in --out samples.csv")
    check_count("--n", asked.n)
    name = "samples.png"
    if label is not None:
        name = f"samples-of-{label}.png"
        image = _samples_of(saved, label, asked.n or N, asked.seed)
    elif classes is not None:
        image = pictures.class_samples(
            model, per_class=asked.n or PER_CLASS, classes=saved.classes, seed=asked.seed
        )
    else:
        image = pictures.samples(model, asked.n or N, seed=asked.seed)
    save(image, saved, asked, name)


def traverse(argv: Sequence[str]) -> None:
    """``vaezoo traverse``."""
    about = "Draw what moving one latent dimension at a time does to an example."
    asked = parse(Traverse, argv, "traverse", about)
    check_count("--steps", asked.steps)
    saved, source, of = open_with_data(asked, "traverse")
    check_index(source, [asked.index])
    from vaezoo import pictures
    from vaezoo.shown import most_active

    x, y = examples_for(saved, source, [asked.index])
    dims = asked.dims or most_active(saved.model, source, saved.binarization())
    image = pictures.traversals(
        saved.model,
        x,
        y,
        dims=dims,
        steps=asked.steps,
        limit=asked.limit,
        of=of,
    )
    save(image, saved, asked, "traversals.png")


def open_model(asked: Drawing, command: str) -> Saved:
    """The model that is asked for."""
    from vaezoo.cli.saved import open_saved

    return open_saved(asked.path, asked.device, command)


def open_with_data(asked: FromData, command: str) -> tuple[Saved, Source, str]:
    """A model of images, the examples that it is shown on, and what captions call these."""
    check_out(asked)
    check_data(asked)
    from vaezoo.shown import described, shown_split

    saved = open_model(asked, command)
    check_images_of(saved, command, THROUGH_CODES)
    data = saved.data(asked.data, asked.data_root, asked.corrupt)
    split, source = shown_split(data)
    return saved, source, described(data, split, saved.binarization())


def check_index(source: Source, index: Sequence[int]) -> None:
    """Raise UsageError for an example that is not there."""
    if wrong := [i for i in index if not 0 <= i < len(source)]:
        raise UsageError(f"--index must lie in 0..{len(source) - 1}, not {wrong[0]}")


def check_images_of(saved: Saved, command: str, instead: str) -> None:
    """Raise DataError for a model that makes rows, which no sheet shows."""
    shape = saved.model.input_shape
    if shape is not None and len(shape) == 1:
        raise DataError(
            f"{command} draws images, and this model makes rows of "
            f"{counted(shape[0], 'number')}: {instead}"
        )


def check_data(asked: FromData) -> None:
    """Raise UnknownComponentError for data of no known name, before torch is imported."""
    check_readable(asked.data)


def check_count(flag: str, n: int | None) -> None:
    """Raise UsageError for a number of images that makes no picture to look at."""
    if n is not None and not 1 <= n <= MOST:
        what = "at least 1" if n < 1 else f"at most {MOST:,}, for a picture that can be looked at"
        raise UsageError(f"{flag} must be {what}, not {n}")


def check_out(asked: Drawing) -> None:
    """Raise DataError unless the file to write is a picture's."""
    if asked.out is not None:
        from vaezoo.pictures import check_png

        check_png(asked.out)


def examples_for(
    saved: Saved, source: Source, index: Sequence[int]
) -> tuple[Tensor, Tensor | None]:
    """Examples as the model was trained on them, and their labels if it takes any."""
    from vaezoo.shown import examples

    x, y = examples(source, index, saved.binarization())
    return x, y if saved.model.num_classes is not None else None


def _write_samples(saved: Saved, asked: Sample, out: Path, label: int | None) -> None:
    """All samples, in batches, each class after the other; a class's are in a folder of its."""
    import torch

    from vaezoo.cli.reading import shown_reading
    from vaezoo.data.progress import told
    from vaezoo.inference import seeded

    model, size = saved.model, batch_size(saved.model, asked)
    y, names, count = None, list[str](), asked.n or N
    if model.num_classes is not None:
        classes = range(model.num_classes) if label is None else [label]
        each = asked.n or (PER_CLASS if label is None else N)
        y = torch.tensor(classes).repeat_interleave(each)
        words = saved.classes or tuple(map(str, range(model.num_classes)))
        names = [f"{words[k]}/{i:05}" for k in classes for i in range(each)]
        count = len(y)
    pieces = (range(count)[start : start + size] for start in range(0, count, size))

    def batches() -> Iterator[Made]:
        for piece in told(pieces, count, "sampling", size=len):
            labels = None if y is None else y[piece.start : piece.stop]
            yield model.sample(len(piece), labels), labels

    called = [] if out.suffix.lower() == CSV else names  # samples are nothing else's rows
    with shown_reading(), seeded(asked.seed, model.device):
        write_made(out, model, batches(), called, count)
    line(str(out))


def _samples_of(saved: Saved, label: int, n: int, seed: int) -> Image:
    import torch

    from vaezoo import pictures

    images = saved.model.sample(n, y=torch.full((n,), label), seed=seed)
    name = saved.classes[label] if saved.classes else label
    caption = pictures.drawn(saved.model, of=f" of class {name}")
    return pictures.grid(images, min(8, n), caption=caption)


def save(image: Image, saved: Saved, asked: Drawing, name: str) -> None:
    """Write a picture, and print where it is."""
    from vaezoo.pictures import save_png

    line(str(save_png(image, asked.out or saved.picture(name))))

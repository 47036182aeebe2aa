"""``vaezoo encode`` and ``decode``: from examples to codes in a file, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vaezoo.cli.arguments import ModelPath, Unset, parse
from vaezoo.cli.examples import (
    Batched,
    Examples,
    Through,
    batch_size,
    check_asked,
    check_batch_size,
    find_examples,
    label_of,
)
from vaezoo.cli.made import Made, check_made, write_made
from vaezoo.cli.outputs import ARRAYS, CSV, check_output
from vaezoo.cli.tables import line
from vaezoo.cli.usage import UsageError, check_seed

if TYPE_CHECKING:
    from torch import Tensor

    from vaezoo.cli.code_files import CodeRows, Codes
    from vaezoo.cli.saved import Saved
    from vaezoo.model import VAE


@dataclass(frozen=True, kw_only=True)
class Encode(Through):
    """What ``vaezoo encode`` takes."""

    out: Unset[Path] = None
    """The file to write: .safetensors or .npz (z, stddev, y, names), .npy (z alone), or .csv (a
    column for each latent)."""


@dataclass(frozen=True, kw_only=True)
class Decode(Batched):
    """What ``vaezoo decode`` takes."""

    path: ModelPath = ""
    """A run's folder, a model's folder, or a weights file."""
    codes: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="CODES", help_behavior_hint="")
    ] = ""
    """A file of codes, as `vaezoo encode` writes it."""
    out: Unset[Path] = None
    """A folder for PNG files, named after the examples; or a file: .csv for rows, in the units of
    the training file; .safetensors, .npz or .npy for anything."""
    label: Unset[str] = None
    """Of a model with labels: decode all codes as this class, a name or a number from 0. Default:
    the file's labels."""
    draw: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Draw from p(x|z), instead of taking its mean."""
    seed: int = 0
    """Of the draws."""


def encode(argv: Sequence[str]) -> None:
    """``vaezoo encode``."""
    about = "Write the codes of examples, the means of q(z|x), to a file."
    asked = parse(Encode, argv, "encode", about)
    check_asked(asked)
    out = check_output(
        asked.out, "encode", (*ARRAYS, CSV), folder=False, overwrite=asked.overwrite
    )
    from vaezoo.cli.code_files import write_codes
    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved

    saved = open_saved(asked.path, asked.device, "encode")
    examples = find_examples(saved, asked)
    with shown_reading():
        write_codes(out, _encoded(examples), examples.names, examples.classes)
    line(examples.described)
    line(str(out))


def decode(argv: Sequence[str]) -> None:
    """``vaezoo decode``."""
    about = "Write what codes stand for, the means of p(x|z), to files."
    asked = parse(Decode, argv, "decode", about)
    check_batch_size(asked)
    check_seed(asked.seed)
    out = check_made(asked.out, "decode", sheet=False, overwrite=asked.overwrite)
    if asked.path and not asked.codes:
        raise UsageError("decode: say which codes, as in `vaezoo decode RUN z.safetensors`")
    from vaezoo.cli.code_files import open_codes
    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved
    from vaezoo.inference import seeded

    saved = open_saved(asked.path, asked.device, "decode")
    model = saved.model
    codes = open_codes(Path(asked.codes).expanduser(), model.latent_shape)
    y = _labels(saved, asked, codes.y)
    batches = _decoded(model, codes, y, batch_size(model, asked), draw=asked.draw)
    with shown_reading(), seeded(asked.seed, model.device):
        write_made(out, model, batches, codes.names, len(codes))
    line(str(out))


def _encoded(examples: Examples) -> Iterator[CodeRows]:
    from vaezoo.cli.code_files import CodeRows

    for batch in examples.batches("encoding"):
        q = examples.model.encode(batch.x, examples.labels(batch))  # q(z|x,y)
        try:
            stddev = q.stddev
        except NotImplementedError:
            stddev = None
        yield CodeRows(q.mean, stddev, batch.y)


def _labels(saved: Saved, asked: Decode, y: Tensor | None) -> Tensor | int | None:
    """Those that the model takes: one for all codes, or of the file."""
    model = saved.model
    if asked.label is not None:
        return label_of(saved, asked.label)
    if model.num_classes is None:
        return None
    if y is None:
        raise UsageError(
            f"this model takes labels, and {asked.codes} holds none: say which class with "
            f"--label, 0..{model.num_classes - 1}"
        )
    return y


def _decoded(
    model: VAE, codes: Codes, y: Tensor | int | None, size: int, *, draw: bool
) -> Iterator[Made]:
    """p(x|z,y) of codes, in batches."""
    import torch

    from vaezoo.data.progress import told

    n = len(codes)
    starts = range(0, n, size)
    for start in told(starts, n, "decoding", size=lambda start: min(size, n - start)):
        piece = codes.read(start, min(start + size, n))
        whole = torch.full((len(piece),), y) if isinstance(y, int) else None
        labels = whole if y is None or isinstance(y, int) else y[start : start + size]
        px = model.decode(piece, labels)
        yield px.sample() if draw else px.mean, labels

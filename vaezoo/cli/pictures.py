"""``vaezoo pictures``: all that a run ends with, drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaezoo.cli.arguments import Unset, parse
from vaezoo.cli.draw import FromData, check_data
from vaezoo.cli.tables import line
from vaezoo.cli.usage import UsageError


@dataclass(frozen=True, kw_only=True)
class Pictures(FromData):
    """What ``vaezoo pictures`` takes."""

    out: Unset[Path] = None
    """The folder to write to. Default: the run's samples."""


def pictures(argv: Sequence[str]) -> None:
    """``vaezoo pictures``."""
    about = "Draw all of a run's pictures again, from its saved model and its data."
    asked = parse(Pictures, argv, "pictures", about)
    check_data(asked)
    if asked.out is not None and asked.out.exists() and not asked.out.is_dir():
        raise UsageError(f"--out must name a folder, and {asked.out} is a file")
    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved
    from vaezoo.report import draw

    saved = open_saved(asked.path, asked.device, "pictures")
    if saved.run is None and asked.out is None:
        raise UsageError(f"{asked.path} is a model without its run: say where to with --out")
    data = saved.data(asked.data, asked.data_root, asked.corrupt)
    with shown_reading():
        paths = draw(
            saved.model,
            data,
            asked.out or saved.picture(""),
            binarization=saved.binarization(),
            records=saved.run.records() if saved.run else (),
        )
    for path in paths:
        line(str(path))

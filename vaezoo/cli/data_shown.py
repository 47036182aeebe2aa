"""What ``vaezoo data NAME_OR_PATH`` shows: a table, or JSON, and a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from vaezoo.cli import data_flags
from vaezoo.cli.arguments import Unset, make, parse
from vaezoo.cli.reading import shown_reading
from vaezoo.cli.tables import line, table
from vaezoo.cli.usage import tell
from vaezoo.data import Data, as_data
from vaezoo.data.summary import summary
from vaezoo.pictures import check_png, contact_sheet, save_png
from vaezoo.pictures.contact import few_of_each
from vaezoo.words import counted

COMMAND = "data"
SIDE = 10  # images in a row of the contact sheet
DRAWN_FROM = 2000  # examples that it is chosen from
MOST_ROWS = 60
WHAT = tyro.conf.arg(metavar="[NAME_OR_PATH]", help_behavior_hint="")


@dataclass(frozen=True, kw_only=True)
class Show:
    """What ``vaezoo data`` takes beside the options of the data."""

    what: Annotated[Unset[str], tyro.conf.Positional, WHAT] = None
    """A dataset's name, a folder of images, or a file. Default: list the datasets."""
    data_root: Unset[Path] = None
    """Where data sets are kept. Default: $VAEZOO_DATA, else the cache folder."""
    out: Unset[Path] = None
    """The PNG file to draw examples into. Default: data-NAME.png, here."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""


def show(argv: Sequence[str], choice: Mapping[str, Any] | None) -> None:
    """Show the chosen data as the line asks for; without a choice, the help."""
    argv = data_flags.expanded(argv)
    about = "Show what data hold, as training would read them: splits, values, labels, factors."
    nested = {} if choice is None else data_flags.nested(choice)
    if choice is not None:
        choice = data_flags.with_flags(choice, argv, COMMAND)
    asked = parse(make("Show", (), nested=nested, bases=(Show,)), argv, COMMAND, about)
    if asked.out is not None:
        check_png(asked.out)
    with shown_reading():
        data = as_data(choice, root=asked.data_root)
    found = summary(data)
    picture = None
    if asked.out is None and choice is not None and _among_the_data(Path.cwd(), choice):
        tell("no contact sheet: here it would lie among the images; say where with --out")
    else:
        picture = _draw(data, asked.out)
    if asked.json:
        line(json.dumps({**found, "picture": picture and str(picture)}, indent=2))
    else:
        _print(found)
        if picture is not None:
            line(f"picture     {picture}")


def _among_the_data(folder: Path, choice: Mapping[str, Any]) -> bool:
    path = choice.get("path")
    return path is not None and folder.resolve().is_relative_to(Path(path).expanduser().resolve())


def _draw(data: Data, out: Path | None) -> Path | None:
    """The contact sheet, where the examples are pictures."""
    if len(data.input_shape) != 3 or data.input_shape[0] not in (1, 3):
        return None
    source = data.train
    places = torch.arange(min(len(source), DRAWN_FROM), device=source.device)
    _, y = source.examples(places)
    few = few_of_each(y, SIDE, total=len(places))
    x, y = source.examples(places[few])
    caption = f"{data.title}: examples of the train split"
    sheet = contact_sheet(x, y, classes=data.classes, caption=caption)
    return save_png(sheet, out or Path(f"data-{data.title}.png".replace("/", "-")))


def _print(found: Mapping[str, Any]) -> None:
    shape = "x".join(map(str, found["shape"]))
    values, looked = found["values"], found["looked_at"]["train"]
    scale = ", where 0..255 stands for 0..1" if found["dtype"] == "uint8" else ""
    facts = [
        ("data", found["name"]),
        *((name, str(value)) for name, value in found["options"].items() if name == "path"),
        ("shape", f"{shape} {found['dtype']}{scale}"),
        *(
            (name, f"{counted(split['size'], 'example')}: {split['rule']}")
            for name, split in found["splits"].items()
        ),
        (
            "values",
            f"{values['min']:.4g} to {values['max']:.4g}, mean {values['mean']:.4g}, of "
            f"{counted(looked, 'training example')}",
        ),
        ("labels", _labels(found)),
        (
            "factors",
            ", ".join(f"{name} ({size})" for name, size in found["factors"].items()) or "none",
        ),
        *([("skipped", f"{found['skipped']} that cannot be read")] if "skipped" in found else []),
    ]
    table(facts)
    _print_rows(found["labels"], ["label", "class", *found["splits"]])
    _print_rows(found["columns"], ["column", "min", "max", "mean", "std"])


def _labels(found: Mapping[str, Any]) -> str:
    if not found["labels"]:
        return "none"
    sizes = {name: split["size"] for name, split in found["splits"].items()}
    some = [f"{n:,} of {name}" for name, n in found["looked_at"].items() if n < sizes[name]]
    return counted(found["num_classes"], "class") + (
        f", counted in {', '.join(some)}" if some else ""
    )


def _print_rows(rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:
    if not rows:
        return
    line()
    table(([_cell(value) for value in row.values()] for row in rows[:MOST_ROWS]), header)
    if len(rows) > MOST_ROWS:
        line(f"... and {len(rows) - MOST_ROWS:,} more, which --json shows")
    line()


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

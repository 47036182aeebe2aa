"""``vaezoo new-plugin``: a package of one's own, which works from the start."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vaezoo.cli.tables import line
from vaezoo.cli.usage import PlainParser
from vaezoo.scaffold import checked_names, write_plugin

DESCRIPTION = (
    "Write a plugin: an installable package with one variant, its tests, a README and a CI file. "
    "The variant works as it is; change its formula into yours."
)
NAME = (
    "of the variant, as create and train will take it: VENDOR/VARIANT, such as mine/ring-vae, in "
    "a package vaezoo-mine that may bring more; or VARIANT alone, such as ring-vae, in a package "
    "vaezoo-ring-vae"
)


def new_plugin(argv: Sequence[str]) -> None:
    """``vaezoo new-plugin NAME [--dir DIR]``."""
    parser = PlainParser("new-plugin", DESCRIPTION)
    parser.add_argument("name", metavar="NAME", help=NAME)
    parser.add_argument(
        "--dir", type=Path, help="the folder to write, new or empty (default: the package's name)"
    )
    asked = parser.parse(argv)
    folder = asked.dir or Path(checked_names(asked.name).distribution)
    names = write_plugin(asked.name, folder)
    line(f"{folder} holds the package {names.distribution} with the variant {names.variant}.")
    line(f"Its formula is in {folder / 'src' / names.package / names.recipe}.py. Next:")
    line()
    for command in (
        f"cd {shlex.quote(str(folder))}",
        "pip install -e '.[test]'",
        "pytest",
        f"vaezoo check {names.variant}",
        f"vaezoo train {names.variant}",
    ):
        line(f"  {command}")

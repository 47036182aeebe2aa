"""Tables on stdout: plain columns, which read the same on a terminal and in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest

PIPED_WIDTH = 120
"""How wide a table may be where there is no terminal; rich's own 80 would cut names off."""
WRAPPED = 24
"""How wide the column that breaks lines is at least."""


def table(
    rows: Iterable[Sequence[str]],
    header: Sequence[str] = (),
    *,
    wrap: int = -1,
    fold: Sequence[int] = (),
) -> None:
    """Print rows in columns; only column ``wrap`` (the last) breaks lines, no other is cut off.

    fold: columns that break too, anywhere, where they leave no room for that one.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [*rows]
    columns = max(map(len, [header, *rows]))
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    texts = [*zip_longest(header, *rows, fillvalue="")]  # by column
    sizes = [max(map(len, column)) for column in texts]
    rest = sum(size for i, size in enumerate(sizes) if i not in (*fold, wrap % columns))
    room = (console.width - WRAPPED - rest - 2 * (columns - 1)) // max(len(fold), 1)
    made = Table(box=None, pad_edge=False, show_header=bool(header), header_style="bold")
    for i in range(columns):
        wraps, folds = i == wrap % columns, i in fold and sizes[i] > room
        title = header[i] if header else ""
        made.add_column(
            title,
            no_wrap=not (wraps or folds),
            overflow="fold",
            min_width=WRAPPED if wraps else None,
            max_width=max(room, 1) if folds else None,
        )
    for row in rows:
        made.add_row(*map(Text, row))
    with console.capture() as captured:
        console.print(made)
    for text in captured.get().splitlines():  # without the spaces that fill the last column
        line(text.rstrip())


def line(text: str = "") -> None:
    """Print one line, however long."""
    sys.stdout.write(f"{text}\n")

"""Showing how far what takes long has come: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vaezoo.cli.usage import tell


@contextmanager
def shown_reading() -> Iterator[None]:
    """Within it, what goes through many files or examples shows how far it is. On stderr."""
    from vaezoo.data.progress import Lines, listening

    if not sys.stderr.isatty():
        with listening(Lines(tell)):
            yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", visible=False)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total, visible=True)

        with listening(update):
            yield

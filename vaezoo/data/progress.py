"""Telling of what takes long. Nobody listens unless asked to: the library prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str, int, int], None]
"""``(what, done, total)``."""
PATIENCE = 10.0
"""Seconds between two lines, and before the first: what is done at once needs no word."""
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within it, ``listener`` hears of what is read, measured and drawn."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def told(
    items: Iterable[T], total: int, what: str, size: Callable[[T], int] = lambda item: 1
) -> Iterator[T]:
    """The items, telling how much of ``total`` has been taken. size: what an item counts for."""
    listener, done = _listener.get(), 0
    for item in items:
        yield item
        done += size(item)
        if listener is not None:
            listener(what, done, total)


class Lines:
    """A listener that writes a line every ten seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.last = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self.last >= PATIENCE:
            self.last = time.monotonic()
            self.write(f"{what}: {done:,} of {total:,}")

"""Telling of a long read. Nobody listens unless asked to: the library prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str, int, int], None]
"""``(what, done, total)``."""
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within it, ``listener`` hears of what is read."""
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

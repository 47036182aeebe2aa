"""Whole numbers that a user gives."""

from __future__ import annotations

import operator
from typing import Any

from vaezoo.errors import DataError


def whole(value: Any, name: str, least: int | None = None) -> int:
    """``value`` as an int, NumPy's and torch's included. Raises DataError for any other."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or (least is not None and number < least):
        bound = "" if least is None else f" of at least {least}"
        raise DataError(f"{name} must be a whole number{bound}, not {value!r}")
    return number

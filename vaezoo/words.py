"""Counts in words. Imports nothing."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """``1 example``, ``2,000 examples``: of nouns whose plural ends in s, or in es after one."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{'es' if noun.endswith('s') else 's'}"


def in_bytes(n: float) -> str:
    """``3.5 GiB``, ``812 KiB``: in the largest unit of which there is one, else in bytes."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n >= size:
            return f"{n / size:,.1f} {unit}".replace(".0 ", " ")
    return f"{n:.0f} bytes"

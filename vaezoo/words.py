"""Counts in words. Imports nothing."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """``1 example``, ``2,000 examples``: of nouns whose plural ends in s, or in es after one."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{'es' if noun.endswith('s') else 's'}"

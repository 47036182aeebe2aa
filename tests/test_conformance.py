"""Every registered variant keeps the rules of the kit."""

from __future__ import annotations

from collections.abc import Callable

import vaezoo.testing


@vaezoo.testing.parametrize_checks()
def test_variant(check: Callable[[], None]) -> None:
    check()

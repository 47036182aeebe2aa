"""``vaezoo check``: the conformance kit, one line for each check as it is done."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from vaezoo.cli import model_flags
from vaezoo.cli.arguments import Unset, flags, make, parse, wants_help
from vaezoo.cli.tables import line
from vaezoo.cli.usage import UsageError, given, groups
from vaezoo.errors import VaezooError
from vaezoo.registry import lookup
from vaezoo.registry.specs import VariantSpec
from vaezoo.words import counted

COMMAND = "check"
ABOUT = (
    "Check that a variant keeps the rules of the zoo. It is checked at small sizes of the kit's "
    "own, and with its default options and parts unless others are given; "
    "`vaezoo check NAME --help` shows those of a variant."
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What ``vaezoo check`` takes beside the options of the model."""

    name: Annotated[
        Unset[str],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="NAME", help_behavior_hint=""),
    ] = None
    """The variant; see `vaezoo list`."""
    only: Unset[tuple[str, ...]] = None
    """The names of some checks, to run these alone."""


def check(argv: Sequence[str]) -> None:
    """``vaezoo check NAME``."""
    name, *others = [*groups(argv)[0], None]
    if name is None and wants_help(argv):
        parse(Check, argv, COMMAND, ABOUT)
    if name is None or len(others) > 1:
        raise UsageError("check takes one variant, first: vaezoo check NAME. See `vaezoo list`.")
    lookup.find(VariantSpec, name)
    model_flags.check_parts(argv)
    model = model_flags.model_class(name, {}, model_flags.chosen_parts(argv, {}))
    cls = make("Check", (), nested={"model": ("model", model)}, bases=(Check,))
    if not wants_help(argv):
        model_flags.check_owners(given(argv) - {*flags(cls)})
    parsed = parse(cls, argv, COMMAND, ABOUT)
    _run(name, parsed.only, model_flags.asked_values(parsed.model, argv))


def _run(name: str, only: Sequence[str] | None, options: dict[str, object]) -> None:
    from vaezoo.testing import ConformanceError, Failure
    from vaezoo.testing.catalogue import FOUNDATIONS
    from vaezoo.testing.run import results

    failures: list[Failure] = []
    passed = 0
    printed = io.StringIO()
    checks = results(name, only=only, **options)
    while True:
        with contextlib.redirect_stdout(printed):  # of the variant, whose forward may print
            done, found = next(checks, ("", ()))
        if not done:
            break
        line(f"{'FAIL' if found else 'ok':<4}  {done}")
        sys.stdout.flush()  # a check may take seconds, and somebody may be waiting
        failures += found
        passed += not found
        if found and done in FOUNDATIONS:
            line("      (the others rest on it)")
            break
    if said := printed.getvalue().strip():
        lines = said.splitlines()
        line(f"      (the variant printed {counted(len(lines), 'line')}, the first: {lines[0]})")
    if failures:
        verdict, _, details = str(ConformanceError(name, failures)).partition("\n\n")
        line()
        line(details)
        raise VaezooError(f"{verdict}, {', '.join(f.check for f in failures)}; {passed} passed")
    line(f"{name}: all {passed} checks passed")

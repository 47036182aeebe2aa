"""Running the kit: over one variant, or under pytest over all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from vaezoo.errors import OptionError, did_you_mean
from vaezoo.registry import VariantSpec, list_variants, lookup
from vaezoo.testing.catalogue import CHECKS, FOUNDATIONS
from vaezoo.testing.check import Check
from vaezoo.testing.report import ConformanceError, Failure, Report
from vaezoo.testing.subject import Subject

NONE: Mapping[str, Any] = {}


def check_variant(
    name: str,
    *,
    expected_exceptions: Mapping[str, str] = NONE,
    only: Iterable[str] | None = None,
    **create_options: Any,
) -> Report:
    """Hold a variant against every check, or against those named in ``only``.

    expected_exceptions: checks that it need not pass, by name, each with the reason; such a
    check that passes nevertheless is reported as passed. create_options: what ``create`` takes;
    the kit's own sizes stand in for what is missing.

    Where one of FOUNDATIONS fails, the checks after it are not run: they would say the same.

    Raises ConformanceError, with all failures; UnknownVariantError; MissingRequirementError;
    OptionError for the name of a check that there is none of.
    """
    known(expected_exceptions)
    report = Report()
    failures: list[Failure] = []
    for check, found in results(name, only=only, **create_options):
        if not found:
            report.passed.append(check)
        elif check in expected_exceptions:
            report.excepted[check] = expected_exceptions[check]
        else:
            failures += found
            if check in FOUNDATIONS:
                break
    if failures:
        raise ConformanceError(name, failures)
    return report


def results(
    name: str, *, only: Iterable[str] | None = None, **create_options: Any
) -> Iterator[tuple[str, tuple[Failure, ...]]]:
    """Run the checks one after the other: of each, when it is done, its name and its failures.

    Takes what ``check_variant`` takes, and raises what that raises but for ConformanceError.
    """
    chosen = [*CHECKS] if only is None else known(only)
    subject = Subject(name, **create_options)
    if subject.spec.missing():
        lookup.recipe(subject.spec)  # says how to get it
    for check in chosen:
        try:
            CHECKS[check](subject)
        except ConformanceError as error:
            yield check, error.failures
        else:
            yield check, ()


def parametrize_checks(
    pattern: str = "*",
    *,
    options: Mapping[str, Mapping[str, Any]] = NONE,
    expected_exceptions: Mapping[str, Mapping[str, str]] = NONE,
) -> Callable[[Callable[..., None]], Any]:
    """A pytest parametrisation: one test for each check of each variant that matches ``pattern``.

        @vaezoo.testing.parametrize_checks("mine/*")
        def test_variant(check):
            check()

    options: of ``create``, by variant. expected_exceptions: by variant, then by check, the
    reason. A variant that lacks a package is skipped.
    """
    import pytest

    parameters = []
    for name in list_variants(pattern):
        subject = Subject(name, **options.get(name, NONE))
        excepted = expected_exceptions.get(name, NONE)
        known(excepted)
        missing = lookup.find(VariantSpec, name).missing()
        for check in CHECKS.values():
            marks = []
            if missing:
                marks.append(pytest.mark.skip(reason=f"needs {', '.join(missing)}"))
            if check.name in excepted:
                reason = excepted[check.name]
                marks.append(pytest.mark.xfail(reason=reason, raises=ConformanceError))
            run = _bind(check, subject, excepted=check.name in excepted)
            parameters.append(pytest.param(run, id=f"{name}-{check.name}", marks=marks))
    return pytest.mark.parametrize("check", parameters)


def _bind(check: Check, subject: Subject, *, excepted: bool) -> Callable[[], None]:
    """A test: skipped where a check that it rests on has failed before it."""

    def run() -> None:
        import pytest

        if subject.unsound:
            pytest.skip(f"rests on the check {subject.unsound!r}, which fails")
        try:
            check(subject)
        except ConformanceError:
            if check.name in FOUNDATIONS and not excepted:
                subject.unsound = check.name
            raise

    return run


def known(names: Iterable[str]) -> list[str]:
    """The names, in the order of CHECKS. Raises OptionError for one that is none."""
    names = [*names]
    for name in names:
        if name not in CHECKS:
            raise OptionError(f"the kit has no check {name!r}.{did_you_mean(name, CHECKS)}")
    return [name for name in CHECKS if name in names]

"""The flags ``--data...``: made from the options of a dataset, or of the reader of a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vaezoo.cli.arguments import flags, make, parse, values_of, wants_help
from vaezoo.cli.usage import UsageError, flag_name, given, groups
from vaezoo.errors import did_you_mean
from vaezoo.options import options_class, options_of
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec

PREFIX = "--data."
SHORT = {
    "--image-size": "--data.image-size",
    "--labels": "--data.keep-labels",
    "--label-seed": "--data.label-seed",
    "--labelled-share": "--data.labelled-share",
}
"""What may be written without the prefix."""
SWITCHES = {"--data.header": "yes", "--data.no-header": "no"}
"""What may be said like a switch, without a value."""
FIELD = "data_options"


def expanded(argv: Sequence[str]) -> list[str]:
    """The line with each short flag in full."""
    found: list[str] = []
    for first, *rest in filter(None, groups(argv)):
        if not rest and first in SWITCHES:
            first = f"--data.header={SWITCHES[first]}"
        name, equals, value = first.partition("=")
        found += [SHORT.get(flag_name(name), name) + equals + value, *rest]
    return found


def nested(choice: Mapping[str, Any]) -> dict[str, tuple[str, type[Any]]]:
    """The dataclass behind ``--data...``, as ``make`` nests it.

    choice: the dataset, ``{"name": ..., options}``, whose values are the flags' defaults.
    """
    from vaezoo.data import FewLabels

    recipe = lookup.recipe(lookup.find(DatasetSpec, choice["name"]))
    options = (*options_of(options_class(recipe)), *options_of(FewLabels))
    return {FIELD: ("data", make("DataOptions", options, choice))}


def with_flags(choice: Mapping[str, Any], argv: Sequence[str], command: str) -> dict[str, Any]:
    """The choice with the options that a line gives. Raises UsageError for one it has not."""
    mine = [group for group in groups(argv) if group and flag_name(group[0]).startswith(PREFIX)]
    if not mine or wants_help(argv):
        return dict(choice)
    cls = make("Data", (), nested=nested(choice))
    known = flags(cls)
    for flag in sorted(given(argv)):
        if flag.startswith(PREFIX) and flag not in known:
            names = [name.removeprefix(PREFIX) for name in known]
            option = flag.removeprefix(PREFIX)
            raise UsageError(
                f"the data {choice['name']} have no option {option!r}."
                f"{did_you_mean(option, names)}"
            )
    parsed = parse(cls, [token for group in mine for token in group], command)
    from vaezoo.data import FewLabels

    defaults = {option.name: option.default for option in options_of(FewLabels)}
    values = values_of(getattr(parsed, FIELD))
    asked = {k: v for k, v in values.items() if k not in defaults or v != defaults[k]}
    return {"name": choice["name"], **asked}

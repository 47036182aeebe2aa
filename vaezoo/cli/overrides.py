"""What a command line asks for against the defaults: ``--set``, and the record of all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaezoo.cli.usage import UsageError, flag_name, groups

if TYPE_CHECKING:
    from vaezoo.training.config import TrainingConfig

SWITCHES = {"true": "", "false": "no-"}


def expanded(argv: Sequence[str]) -> list[str]:
    """The line with each ``--set KEY=VALUE`` as the flag that it means.

    ``--set training.steps=5 model.beta=2 model.network.hidden=9,7`` is ``--steps=5
    --model.beta=2 --model.network.hidden 9 7``. Raises UsageError.
    """
    line: list[str] = []
    for group in groups(argv):
        if not group or flag_name(group[0]) != "--set":
            line += group
            continue
        _, equals, first = group[0].partition("=")
        settings = [first] * bool(equals) + group[1:]
        for setting in settings or [""]:
            line += _flag(setting)
    return line


def _flag(setting: str) -> list[str]:
    key, equals, value = setting.partition("=")
    key = key.removeprefix("training.")
    if not (key and equals):
        raise UsageError(f"--set takes KEY=VALUE, as in --set model.beta=2, not {setting!r}")
    if value in SWITCHES:
        *owner, name = key.split(".")
        return ["--" + ".".join([*owner, SWITCHES[value] + name])]
    values = value.replace(",", " ").split() if value != "," else [value]
    return [f"--{key}={value}"] if len(values) == 1 else [f"--{key}", *values]


def asked_for(
    argv: Sequence[str],
    training: TrainingConfig,
    options: Mapping[str, Any],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """The options that a line gives, by dotted name, with the values that they came to.

    options: of the model, as ``vaezoo.create`` takes them. data: of the dataset.
    """
    sections = {"model": options, "data": data}
    found: dict[str, Any] = {}
    for flag in (flag_name(group[0]) for group in groups(argv) if group):
        *owner, name = flag.lstrip("-").replace("-", "_").split(".")
        values: Any = vars(training)
        for key in owner:
            values = sections.get(key) or values.get(key, {})
        name = name if name in values else name.removeprefix("no_")
        if name in values:
            value = values[name]
            value = value["name"] if isinstance(value, Mapping) else value
            found[".".join([*owner, name])] = [*value] if isinstance(value, tuple) else value
    return found

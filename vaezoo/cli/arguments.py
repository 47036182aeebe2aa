"""Typed command lines: dataclasses through tyro, with errors in one line.

tyro's own messages are boxes of several lines, and its hooks are private. So unknown flags are
looked for before it is asked, and when it refuses, each flag is tried alone to find the culprit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from vaezoo.cli.usage import HELP, UsageError, flag_name, groups, is_flag, unknown_flag
from vaezoo.errors import did_you_mean
from vaezoo.options import REQUIRED, Option, convert, type_name

T = TypeVar("T")
QUIET = tyro.conf.arg(help_behavior_hint="")  # the help says what the default means
HowMany = Annotated[
    int | None,
    tyro.conf.DisallowNone,
    tyro.conf.arg(help_behavior_hint="", aliases=("-n",)),
]
"""Of the flag ``--n``, None unless it is given."""
Unset = Annotated[T | None, tyro.conf.DisallowNone, QUIET]
"""Of a flag that is None unless it is given."""
ModelPath = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN_OR_MODEL", help_behavior_hint=""),
]
DataPath = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[DATA]", help_behavior_hint=""),
]
CorruptFlag = Annotated[
    Literal["refuse", "skip"] | None,
    tyro.conf.DisallowNone,
    tyro.conf.arg(
        name="data.corrupt",
        help="Images or rows that cannot be read: refuse them all, or skip them and say so. "
        "Default: as in the run.",
        help_behavior_hint="",
    ),
]
"""Of the commands that read files for a model."""
KINDS = {int: "an integer", float: "a number"}


def parse(cls: type[T], argv: Sequence[str], command: str, description: str = "") -> T:
    """An instance of a dataclass from a command line.

    Raises UsageError, and SystemExit(0) once the help is shown.
    """
    if not wants_help(argv):
        known = flags(cls)
        for token in filter(is_flag, argv):
            if flag_name(token) not in known:
                raise unknown_flag(flag_name(token), known, command)
    try:
        return _tyro(cls, argv, command, description)
    except SystemExit as exit_:
        if exit_.code in (None, 0):
            raise
    raise _culprit(cls, argv, command)


def wants_help(argv: Sequence[str]) -> bool:
    """Whether the help is asked for."""
    return any(token in HELP for token in argv)


def make(
    name: str,
    options: Iterable[Option],
    values: Mapping[str, Any] | None = None,
    nested: Mapping[str, tuple[str, type[Any]]] | None = None,
    bases: tuple[type[Any], ...] = (),
) -> type[Any]:
    """A frozen dataclass with a field for each option, as tyro reads it.

    values: defaults to take the place of the options' own. nested: further fields, each with the
    prefix of its flags and its dataclass. A required option may be left out, which is None:
    whoever uses the values says what is missing, better than tyro could.
    """
    values, fields = values or {}, []
    for option in options:
        default, kind, text = option.default, option.type, " ".join(option.help.split())
        if option.name in values:  # as JSON has it, or Python
            default = convert(values[option.name], kind, option.name)
        if required := default is REQUIRED:
            default, kind, text = None, kind | None, f"(required) {text}"
        extras: tuple[Any, ...] = (tyro.conf.arg(help=text),)
        if default is None and (required or option.default is None):
            extras = (tyro.conf.arg(help=text, help_behavior_hint=""),)
            extras += (tyro.conf.DisallowNone,) if required else ()
        made = dataclasses.field(default=default, metadata={"required": required})
        fields.append((option.name, annotated(kind, *extras), made))
    for field, (prefix, cls) in (nested or {}).items():
        annotation = annotated(cls, tyro.conf.arg(name=prefix))
        fields.append((field, annotation, dataclasses.field(default_factory=cls)))
    return dataclasses.make_dataclass(name, fields, bases=bases, frozen=True, kw_only=True)


def annotated(kind: Any, *extras: Any) -> Any:
    """``Annotated`` of what is known only at run time."""
    return Annotated[(kind, *extras)]


def values_of(made: Any) -> dict[str, Any]:
    """The values of a made dataclass's instance, without required ones that were left out."""
    return {
        f.name: value
        for f in dataclasses.fields(made)
        if (value := getattr(made, f.name)) is not None or not f.metadata.get("required")
    }


def flags(cls: type[Any], prefix: str = "--") -> dict[str, Any]:
    """All flags of a dataclass, each with its type, as tyro names them."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        kind = get_args(hint)[0] if extras else hint
        if tyro.conf.Positional in extras:
            continue
        renamed = [extra.name for extra in extras if getattr(extra, "name", None)]
        flag = (renamed[0] if renamed else name).replace("_", "-")
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            found |= flags(kind, f"{prefix}{flag}.")
            continue
        aliases = [alias for extra in extras for alias in getattr(extra, "aliases", None) or ()]
        found |= dict.fromkeys([prefix + flag, *aliases], kind)
        if kind is bool:
            found[f"{prefix}no-{flag}"] = kind
    return found


def _tyro(cls: type[T], argv: Sequence[str], command: str, description: str = "") -> T:
    """tyro's parser; what it would print of errors is kept back."""
    with contextlib.redirect_stderr(io.StringIO()):
        return tyro.cli(cls, args=argv, prog=f"vaezoo {command}", description=description)


def _fails(cls: type[Any], tokens: Sequence[str], command: str) -> bool:
    try:
        _tyro(cls, tokens, command)
    except SystemExit:
        return True
    return False


def _culprit(cls: type[Any], argv: Sequence[str], command: str) -> UsageError:
    """Which part of a command line tyro refused, and why."""
    see = f"See `vaezoo {command} --help`."
    known = flags(cls)
    positional, *rest = groups(argv)
    for tokens in rest:
        if _fails(cls, tokens, command):
            first, *following = tokens
            flag, equals, value = first.partition("=")
            values = ([value] if equals else []) + following
            return UsageError(f"{_wrong(flag, known[flag_name(first)], values)} {see}")
    for tokens in rest:  # each was understood alone: one argument too many hides among them
        positional += tokens[1 if known[flag_name(tokens[0])] is bool else 2 :]
    extra = " ".join(positional[_positionals(cls) :])
    return UsageError(f"{command}: unexpected argument {extra!r}. {see}")


def _positionals(cls: type[Any]) -> int:
    """How many arguments a command takes that are no flags."""
    hints = get_type_hints(cls, include_extras=True).values()
    return sum(tyro.conf.Positional in get_args(hint)[1:] for hint in hints)


def _wrong(flag: str, kind: Any, values: list[str]) -> str:
    arguments = [a for a in get_args(kind) if a is not type(None)]
    if type(None) in get_args(kind) and len(arguments) == 1:
        kind = arguments[0]
    if not values and kind is not bool:
        return f"{flag} needs a value: {_expected(kind)}."
    given = " ".join(values)
    if get_origin(kind) is Literal and len(values) == 1:
        return f"{flag} cannot be {given!r}.{did_you_mean(given, map(str, get_args(kind)))}"
    if kind is bool and "." in flag:  # these have a second flag, which says no
        prefix, _, name = flag.rpartition(".")
        name = name.removeprefix("no-")
        return f"{flag} takes no value, not {given!r}: say {prefix}.{name} or {prefix}.no-{name}."
    return f"{flag} takes {_expected(kind)}, not {given!r}."


def _expected(kind: Any) -> str:
    if kind is bool:
        return "no value"
    if get_origin(kind) is tuple:
        inner, *others = get_args(kind)
        many = "values" if others == [Ellipsis] else f"{1 + len(others)} values"
        return f"{many}, each {_expected(inner)}"
    if get_origin(kind) is Literal:
        return f"one of {type_name(kind)}"
    return KINDS.get(kind, "a value" if kind is str else type_name(kind))

"""Options: frozen, keyword-only dataclasses with a docstring under each field. Torch-free.

One such class makes the Python signature, the command line's flags, ``describe`` and the saved
config, so its values are checked here, once, against the annotations.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vaezoo.errors import OptionError, did_you_mean

T = TypeVar("T")
REQUIRED: Any = dataclasses.MISSING


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a recipe that has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """One option as ``describe`` shows it."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


def options_class(recipe: Callable[..., Any]) -> type[Any]:
    """The options dataclass of a recipe, read from the annotation of its first parameter.

    Raises TypeError when the recipe is not ``(options: SomeDataclass, ...)``.
    """
    function: Any = recipe
    if not inspect.isroutine(recipe):
        function = recipe.__init__ if isinstance(recipe, type) else type(recipe).__call__  # type: ignore[misc]
    parameters = [*inspect.signature(recipe).parameters.values()]
    annotation = parameters[0].annotation if parameters else None
    if isinstance(annotation, str):
        # The first annotation alone: others may name what is imported for type checkers only.
        first = types.SimpleNamespace(__annotations__={"options": annotation})
        annotation = get_type_hints(first, function.__globals__)["options"]
    if not dataclasses.is_dataclass(annotation) or not isinstance(annotation, type):
        raise TypeError(
            f"{getattr(recipe, '__qualname__', recipe)} is no recipe: annotate its first "
            f"parameter with a frozen, keyword-only dataclass of options"
        )
    return annotation


@cache
def field_docs(cls: type[Any]) -> Mapping[str, str]:
    """The docstring under each field of a dataclass, inherited fields included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):  # no source: an interactive or built class
            continue
        definition = tree.body[0]
        assert isinstance(definition, ast.ClassDef)
        for field, doc in zip(definition.body, definition.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(doc, ast.Expr)
                and isinstance(doc.value, ast.Constant)
                and isinstance(doc.value.value, str)
            ):
                docs[field.target.id] = inspect.cleandoc(doc.value.value)
    return docs


def options_of(cls: type[Any]) -> tuple[Option, ...]:
    """The options of a dataclass, in the order of their definition."""
    hints, docs = get_type_hints(cls), field_docs(cls)  # type: ignore[arg-type]

    def default(field: dataclasses.Field[Any]) -> Any:
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return field.default

    return tuple(
        Option(name=f.name, type=hints[f.name], default=default(f), help=docs.get(f.name, ""))
        for f in dataclasses.fields(cls)
    )


def build(cls: type[T], values: Mapping[str, Any], owner: str, *, others: Sequence[str] = ()) -> T:
    """An instance of ``cls`` from plain values, as Python, JSON or a command line gives them.

    others: names that ``owner`` takes elsewhere, for the error of an unknown one. Raises
    OptionError for an unknown, missing, mistyped or out-of-range option of ``owner``.
    """
    options = {option.name: option for option in options_of(cls)}
    for name in values:
        if name not in options:
            raise OptionError(
                f"{owner} has no option {name!r}.{did_you_mean(name, [*options, *others])}"
            )
    for name, option in options.items():
        if option.required and name not in values:
            raise OptionError(f"{owner} needs the option {name!r}: {option.help}")
    checked = {
        name: convert(value, options[name].type, f"{owner}: option {name!r}")
        for name, value in values.items()
    }
    try:
        return cls(**checked)
    except OptionError:
        raise
    except (ValueError, TypeError) as error:  # raised by the class's own __post_init__
        raise OptionError(f"{owner}: {error}") from error


def convert(value: Any, annotation: Any, where: str) -> Any:
    """``value`` as ``annotation`` asks: an int serves as a float, a list as a tuple.

    Raises OptionError, beginning with ``where``, for anything else.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any or isinstance(annotation, TypeVar):
        return value
    if origin in (Union, types.UnionType):
        for argument in arguments:
            try:
                return convert(value, argument, where)
            except OptionError:
                continue
    elif origin is Literal:
        if value in arguments and type(value) in {type(a) for a in arguments}:
            return value
        if isinstance(value, str):
            raise OptionError(f"{where} cannot be {value!r}.{did_you_mean(value, arguments)}")
    elif origin is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(convert(item, arguments[0], where) for item in value)
        if len(arguments) == len(value):
            return tuple(convert(v, a, where) for v, a in zip(value, arguments, strict=True))
    elif annotation is float and isinstance(value, Real) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise OptionError(f"{where} must be a finite number, not {value}")
        return float(value)
    elif annotation is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    elif annotation is None or annotation is type(None):
        if value is None:
            return None
    elif dataclasses.is_dataclass(annotation) and isinstance(value, Mapping):
        return build(annotation, value, where)  # type: ignore[arg-type]
    elif isinstance(annotation, type) and isinstance(value, annotation):
        if annotation is int and isinstance(value, bool):
            raise OptionError(f"{where} must be int, not {value!r}")
        return value
    raise OptionError(f"{where} must be {type_name(annotation)}, not {value!r}")


def type_name(annotation: Any) -> str:
    """How an annotation is written for a person: ``float``, ``int | None``, ``'a' | 'b'``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(repr(a) for a in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(type_name(a) for a in arguments)
    if annotation is type(None):
        return "None"
    if origin is not None:
        inner = ", ".join("..." if a is Ellipsis else type_name(a) for a in arguments)
        return f"{origin.__name__}[{inner}]"
    return getattr(annotation, "__name__", str(annotation))


def to_json(options: Any) -> dict[str, Any]:
    """A JSON-ready dict from which ``build`` makes an equal instance."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return to_json(value)
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise OptionError(
            f"{type(options).__name__}: {value!r} cannot be written as JSON; "
            f"options hold numbers, strings, tuples and dataclasses of these"
        )

    return {f.name: plain(getattr(options, f.name)) for f in dataclasses.fields(options)}

"""Options: dataclasses that check what they are given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from vaezoo.errors import OptionError
from vaezoo.options import build, field_docs, options_class, options_of, to_json, type_name


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int = 3
    """How large."""


@dataclass(frozen=True, kw_only=True)
class Outer:
    required: int
    """Must be given."""
    rate: float = 0.5
    """A rate."""
    kind: Literal["plain", "fancy"] = "plain"
    """Which kind,
    on two lines."""
    widths: tuple[int, ...] = (4, 5)
    """Widths."""
    pair: tuple[float, float] = (0.0, 1.0)
    """Two numbers."""
    limit: int | None = None
    """A limit."""
    flag: bool = False
    """A flag."""
    inner: Inner = Inner()
    """More."""
    undocumented: str = ""

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("rate must not be negative")


def recipe(options: Outer, elsewhere: NotImported) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Only the first annotation is looked at."""


def test_a_recipe_tells_its_options_class() -> None:
    assert options_class(recipe) is Outer


@pytest.mark.parametrize("wrong", [lambda: None, lambda options: None, dict])
def test_what_is_no_recipe_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        options_class(wrong)


def test_field_docs_are_read_from_the_source() -> None:
    docs = field_docs(Outer)
    assert docs["rate"] == "A rate."
    assert docs["kind"] == "Which kind,\non two lines."
    assert "undocumented" not in docs


def test_options_have_types_defaults_and_help() -> None:
    options = {option.name: option for option in options_of(Outer)}
    assert options["required"].required
    assert options["widths"].default == (4, 5)
    assert not options["widths"].required
    assert type_name(options["kind"].type) == "'plain' | 'fancy'"
    assert type_name(options["limit"].type) == "int | None"
    assert type_name(options["widths"].type) == "tuple[int, ...]"


def test_options_survive_json() -> None:
    options = Outer(required=1, widths=(7,), kind="fancy", inner=Inner(size=9), limit=3)
    assert build(Outer, json.loads(json.dumps(to_json(options))), "it") == options


def test_an_int_serves_as_a_float_and_a_list_as_a_tuple() -> None:
    options = build(Outer, {"required": 1, "rate": 2, "widths": [1, 2], "pair": [1, 2]}, "it")
    assert options.rate == 2.0
    assert isinstance(options.rate, float)
    assert options.widths == (1, 2)
    assert options.pair == (1.0, 2.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "it needs the option 'required': Must be given."),
        ({"required": 1, "rte": 2}, "no option 'rte'. Did you mean 'rate'?"),
        ({"required": "1"}, "option 'required' must be int, not '1'"),
        ({"required": True}, "must be int, not True"),
        ({"required": 1, "flag": 1}, "must be bool, not 1"),
        ({"required": 1, "rate": "fast"}, "must be float, not 'fast'"),
        ({"required": 1, "rate": float("nan")}, "finite number, not nan"),
        ({"required": 1, "kind": "fncy"}, "cannot be 'fncy'. Did you mean 'fancy'?"),
        ({"required": 1, "widths": [1, "2"]}, "must be int, not '2'"),
        ({"required": 1, "pair": [1.0]}, "must be tuple"),
        ({"required": 1, "limit": 1.5}, "int | None"),
        ({"required": 1, "inner": {"sze": 1}}, "no option 'sze'. Did you mean 'size'?"),
        ({"required": 1, "rate": -1.0}, "it: rate must not be negative"),
    ],
)
def test_wrong_options_get_one_clear_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        build(Outer, values, "it")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_json_cannot_hold_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        value: Any = None

    with pytest.raises(OptionError, match="cannot be written as JSON"):
        to_json(Odd(value=object()))

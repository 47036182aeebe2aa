"""A variant's name and options."""

from __future__ import annotations

import dataclasses
import json

from vaezoo.assembly import ModelConfig, SharedOptions
from vaezoo.errors import OptionError
from vaezoo.options import build, options_class, options_of, to_json
from vaezoo.registry import lookup
from vaezoo.testing.report import expect, fail
from vaezoo.testing.subject import Subject
from vaezoo.zoo import describe, from_config

SHARED = {*(field.name for field in dataclasses.fields(SharedOptions)), "encoder", "decoder"}


def create(subject: Subject) -> None:
    """The variant can be created at the kit's sizes (or at those that are given to the kit), as a
    model in training mode."""
    recipe = lookup.recipe(subject.spec)
    look = f"{getattr(recipe, '__qualname__', recipe)}"
    model = subject.model()
    evaluating = [name or "itself" for name, each in model.named_modules() if not each.training]
    expect(
        not evaluating,
        expected="a model in training mode",
        found=f"in eval mode: {', '.join(evaluating)}",
        look=look,
    )


def options(subject: Subject) -> None:
    """Options are a frozen, keyword-only dataclass with a docstring under each field, and none
    takes the name of one that all variants share."""
    cls = options_class(lookup.recipe(subject.spec))
    look = f"the options class {cls.__qualname__}"
    not_keyword_only = [field.name for field in dataclasses.fields(cls) if not field.kw_only]
    expect(
        cls.__dataclass_params__.frozen and not not_keyword_only,
        expected="@dataclass(frozen=True, kw_only=True)",
        found="it is not frozen"
        if not not_keyword_only
        else f"positional fields: {', '.join(not_keyword_only)}",
        look=look,
    )
    undocumented = [option.name for option in options_of(cls) if not option.help]
    expect(
        not undocumented,
        expected="a docstring under each field: what it does, in which unit",
        found=f"none under {', '.join(undocumented)}",
        look=look,
    )
    shadowing = [option.name for option in options_of(cls) if option.name in SHARED]
    expect(
        not shadowing,
        expected=f"other names than the shared options {', '.join(sorted(SHARED))}",
        found=", ".join(shadowing),
        look=f"{look}; shared options come through parts",
    )
    expect(
        subject.spec.summary,
        expected="a summary of one line, which lists and describes show",
        found="none",
        look="the VariantSpec",
    )
    described = {option.name for option in describe(subject.name).options}
    expect(
        described == {field.name for field in dataclasses.fields(cls)},
        expected="describe() shows every option",
        found=", ".join(sorted(described)),
        look=look,
    )


def config(subject: Subject) -> None:
    """Options survive JSON, so that a saved model can be made again exactly as it was."""
    cls = options_class(lookup.recipe(subject.spec))
    look = f"the options class {cls.__qualname__}: numbers, strings, tuples, dataclasses of these"
    names = {field.name for field in dataclasses.fields(cls)}
    given = {name: value for name, value in subject.options.items() if name in names}
    try:
        own = build(cls, given, subject.name)
        text = json.dumps(to_json(own), allow_nan=False)
    except (OptionError, ValueError, TypeError) as error:
        fail(expected="defaults that JSON can hold", found=str(error), look=look)
    again = build(cls, json.loads(text), subject.name)
    expect(again == own, expected=f"{own} after JSON", found=repr(again), look=look)
    made = subject.model().config
    assert made is not None
    read = json.loads(json.dumps(dataclasses.asdict(made)))
    remade = from_config(ModelConfig(**read)).config
    expect(
        remade is not None and _json(remade) == _json(made),
        expected=f"the config {_json(made)} from a model made of it",
        found="none" if remade is None else _json(remade),
        look="the recipe: does it change what it is given?",
    )


def _json(config: ModelConfig) -> str:
    return json.dumps(dataclasses.asdict(config), sort_keys=True)

"""A component that was chosen: by name, by name and options, or by its options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vaezoo.errors import OptionError, VaezooError
from vaezoo.heads import Head
from vaezoo.options import build, options_class, to_json
from vaezoo.registry import lookup
from vaezoo.registry.specs import LikelihoodSpec, NetworkSpec, PriorSpec, Spec

Component = str | Mapping[str, Any] | Any
"""A component by name, by name and options ``{"name": "mlp", "hidden": [400]}``, or by an
instance of its options class."""

MADE: dict[type[Spec], tuple[type[Any], str]] = {
    NetworkSpec: (nn.Module, "torch.nn.Module"),
    PriorSpec: (nn.Module, "vaezoo.Prior"),
    LikelihoodSpec: (Head, "vaezoo.heads.Head"),
}
"""What the recipes of a kind must return, and how it is called."""


@dataclass(frozen=True)
class Choice:
    """A component that was chosen: its spec, and its options."""

    spec: Spec
    options: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = lookup.recipe(self.spec)(self.options, *args, **kwargs)
        wanted, name = MADE.get(type(self.spec), (object, ""))
        if not isinstance(made, wanted):
            raise lookup.wrong_result(self.spec, made, name)
        return made

    def to_json(self) -> dict[str, Any]:
        return {"name": self.spec.name, **to_json(self.options)}


def choose(kind: type[Spec], value: Component) -> Choice:
    """The component that ``value`` stands for.

    Raises UnknownComponentError or OptionError, with the nearest match and what exists.
    """
    if isinstance(value, str):
        value = {"name": value}
    if isinstance(value, Mapping):
        options = dict(value)
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise OptionError(f"a {kind.kind} needs a name, as in {{'name': ..., options}}")
        spec = lookup.find(kind, name)
        cls = options_class(lookup.recipe(spec))
        return Choice(spec, build(cls, options, f"{kind.kind} {name!r}"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for spec, _ in lookup.specs(kind):
            if _takes(spec, type(value)):
                return Choice(spec, build(type(value), _fields(value), spec.name))
    found = type(value).__name__ if isinstance(value, nn.Module) else repr(value)
    own = " Networks of your own go into encoder=vaezoo.wrap(...) and decoder=vaezoo.wrap(...)."
    raise OptionError(
        f"a {kind.kind} is chosen by name or by its options, not by {found}."
        f"{own if isinstance(value, nn.Module) and kind is NetworkSpec else ''} "
        f"Available: {', '.join(lookup.names(kind))}."
    )


def _takes(spec: Spec, options: type[Any]) -> bool:
    try:
        return options_class(lookup.recipe(spec)) is options
    except VaezooError:  # it needs a package, or is broken: it cannot be meant
        return False


def _fields(options: Any) -> dict[str, Any]:
    return {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}

"""The flags ``--model...``: made from the options of a variant and of the parts it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vaezoo.assembly import SharedOptions
from vaezoo.cli.arguments import make, values_of
from vaezoo.cli.usage import UsageError, flag_name, given, value_of
from vaezoo.errors import OptionError, VaezooError
from vaezoo.options import options_class, options_of
from vaezoo.registry import lookup
from vaezoo.registry.specs import LikelihoodSpec, NetworkSpec, PriorSpec, Spec, VariantSpec

SLOTS: dict[str, type[Spec]] = {
    "network": NetworkSpec,
    "likelihood": LikelihoodSpec,
    "prior": PriorSpec,
}
FROM_DATA = ("input_shape", "num_classes")  # no flags: the data decide
OPTIONS = "_options"  # after a slot's name: the field of its options
PREFIX = "--model."
RIVALS = ("latent_dim", "latent_shape")  # one or the other


def check_parts(argv: Sequence[str]) -> None:
    """Raise UnknownComponentError for a part that is asked for and does not exist."""
    for slot, kind in SLOTS.items():
        if name := _named(slot, argv):
            lookup.find(kind, name)


def chosen_parts(argv: Sequence[str], base: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that a line or its base chooses: by slot, {"name": ..., options so far}.

    A part that the line only names again keeps the options that the base gives it.
    """
    chosen: dict[str, Any] = {}
    for slot in SLOTS:
        part = base.get(slot)
        part = {"name": part} if isinstance(part, str) else part
        if PREFIX + slot in given(argv):
            name = _named(slot, argv)
            part = part if part and part["name"] == name else name and {"name": name}
        if part:
            chosen[slot] = part
    return chosen


def said(argv: Sequence[str]) -> frozenset[str]:
    """The options of the model that a line gives, by their first names: network, latent_dim."""
    flags = (flag for flag in given(argv) if flag.startswith(PREFIX))
    return frozenset(f.removeprefix(PREFIX).split(".")[0].replace("-", "_") for f in flags)


def open_slots(argv: Sequence[str], chosen: Mapping[str, Any]) -> list[str]:
    """The slots whose part is given options, and was not chosen: it is the model's default."""
    return [
        slot
        for slot in SLOTS
        if slot not in chosen and any(f.startswith(f"{PREFIX}{slot}.") for f in given(argv))
    ]


def owners(flag: str) -> tuple[str, list[str]]:
    """Of ``--model.SLOT.OPTION``, the slot, and which of its parts have such an option."""
    slot, _, option = flag.removeprefix(PREFIX).partition(".")
    found = []
    for name in lookup.names(SLOTS[slot]) if flag.startswith(PREFIX) and slot in SLOTS else ():
        try:
            recipe = lookup.recipe(lookup.find(SLOTS[slot], name))
        except VaezooError:  # of a broken plugin: it cannot be meant
            continue
        if option.replace("-", "_") in (o.name for o in options_of(options_class(recipe))):
            found.append(name)
    return slot, found


def check_owners(unknown: Iterable[str]) -> None:
    """Raise UsageError for an option of a part that is not the model's, but could be."""
    for flag in sorted(unknown):
        slot, names = owners(flag)
        if names:
            raise UsageError(
                f"{flag!r} belongs to the {slot} {' or '.join(names)}: "
                f"name it with {PREFIX}{slot} {names[0]}"
            )


def without_rivals(argv: Sequence[str], base: Mapping[str, Any]) -> dict[str, Any]:
    """The base, without its latent_dim where the line gives a latent_shape, or the reverse."""
    replaced = any(flag_name(PREFIX + name) in given(argv) for name in RIVALS)
    return {name: value for name, value in base.items() if not (replaced and name in RIVALS)}


def model_class(variant: str, base: Mapping[str, Any], parts: Mapping[str, Any]) -> type[Any]:
    """The dataclass behind ``--model...``, with the base's values for defaults."""
    own = options_of(options_class(lookup.recipe(lookup.find(VariantSpec, variant))))
    shared = [option for option in options_of(SharedOptions) if option.name not in FROM_DATA]
    for name in sorted(
        {option.name for option in own} & {o.name for o in options_of(SharedOptions)}
    ):
        raise OptionError(
            f"{variant}: its option {name!r} has the name of one that every variant is given: ask "
            f"parts.{name} for that, or take another name"
        )
    values = {**base, **{slot: parts.get(slot, {}).get("name") for slot in SLOTS}}
    nested = {}
    for slot, part in parts.items():
        recipe = lookup.recipe(lookup.find(SLOTS[slot], part["name"]))
        if options := options_of(options_class(recipe)):
            nested[slot + OPTIONS] = slot, make("Part", options, part)
    return make("Model", [*own, *shared], values, nested)


def model_values(parsed: Any) -> dict[str, Any]:
    """What ``vaezoo.create`` takes, from the parsed ``--model...``."""
    values = values_of(parsed)
    for slot in SLOTS:
        options = values.pop(slot + OPTIONS, None)
        name = values.pop(slot, None)
        if name not in (None, "None"):
            values[slot] = {"name": name, **(values_of(options) if options is not None else {})}
    return values


def asked_values(parsed: Any, argv: Sequence[str]) -> dict[str, Any]:
    """Those of ``model_values`` that the line gives, without any default."""
    heads = {flag.removeprefix(PREFIX).split(".")[0] for flag in given(argv)}
    names = {head.removeprefix(no).replace("-", "_") for head in heads for no in ("", "no-")}
    return {name: value for name, value in model_values(parsed).items() if name in names}


def _named(slot: str, argv: Sequence[str]) -> str | None:
    name = value_of(PREFIX + slot, argv)
    return None if name == "None" else name

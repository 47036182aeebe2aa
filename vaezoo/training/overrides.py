"""What was asked of a run against vaezoo's defaults: its record, to tell runs apart by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vaezoo.assembly import SharedOptions
from vaezoo.model import VAE
from vaezoo.options import options_class, options_of
from vaezoo.registry import lookup
from vaezoo.registry.specs import (
    LikelihoodSpec,
    NetworkSpec,
    PriorSpec,
    Spec,
    VariantSpec,
)
from vaezoo.training.config import TrainingConfig

PARTS: dict[str, type[Spec]] = {
    "network": NetworkSpec,
    "likelihood": LikelihoodSpec,
    "prior": PriorSpec,
}


def overrides(config: TrainingConfig, model: VAE) -> dict[str, Any]:
    """Options of training and of the model that differ from their defaults, by dotted name.

    As in {"steps": 500, "model.beta": 2.0, "model.network.hidden": [400]}; JSON-ready.
    """
    found = _changed(TrainingConfig, asdict(config), "")
    if model.config is None:
        return found
    recipe = lookup.recipe(lookup.find(VariantSpec, model.config.variant))
    found |= _changed(options_class(recipe), model.config.options, "model.")
    latent_dim = {k: v for k, v in model.config.shared.items() if k == "latent_dim"}
    found |= _changed(SharedOptions, latent_dim, "model.")
    for slot, kind in PARTS.items():
        part = dict(model.config.parts.get(slot) or {})
        if name := part.pop("name", None):
            cls = options_class(lookup.recipe(lookup.find(kind, name)))
            found |= _changed(cls, part, f"model.{slot}.")
    return found


def _changed(cls: type[Any], values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    defaults = {option.name: _plain(option.default) for option in options_of(cls)}
    return {
        prefix + name: _plain(value)
        for name, value in values.items()
        if _plain(value) != defaults.get(name)
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

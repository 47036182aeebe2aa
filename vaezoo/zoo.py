"""From a name, options and parts to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vaezoo.assembly import ModelConfig, Parts, SharedOptions
from vaezoo.choosing import Component
from vaezoo.errors import OptionError, UnknownVariantError, VaezooError, nearest
from vaezoo.model import VAE
from vaezoo.options import Option, build, options_class, options_of, to_json
from vaezoo.registry import lookup
from vaezoo.registry.specs import SPECS, VariantSpec


def create(
    name: str,
    *,
    input_shape: tuple[int, ...] = (1, 28, 28),
    latent_dim: int | None = None,
    latent_shape: tuple[int, ...] | None = None,
    num_classes: int | None = None,
    network: Component | None = None,
    likelihood: Component | None = None,
    prior: Component | nn.Module | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    offered: Mapping[str, Any] | None = None,
    **options: Any,
) -> VAE:
    """A new model of the variant ``name``, freshly initialised from torch's global generator.

    The keyword arguments are those of ``SharedOptions``, ready-made modules for encoder and
    decoder, and the variant's own options, which ``describe(name)`` lists. offered: defaults for
    what the caller leaves open (num_classes, latent_dim or latent_shape, network, likelihood),
    taken where the variant has use for them and none of its own, and else left aside.

    Raises UnknownVariantError; OptionError for an unknown, mistyped or unused option;
    UnknownComponentError; MissingRequirementError if the variant needs another package.
    """
    spec, plugin = lookup.find_with_plugin(VariantSpec, name)
    recipe = lookup.recipe(spec)
    given = {
        "input_shape": input_shape,
        "latent_dim": latent_dim,
        "latent_shape": latent_shape,
        "num_classes": num_classes,
    }
    chosen = {
        "network": network,
        "likelihood": likelihood,
        "prior": prior,
        "encoder": encoder,
        "decoder": decoder,
    }
    own = build(options_class(recipe), options, name, others=[*given, *chosen])
    shared = build(SharedOptions, given, name)
    parts = Parts(name, shared, chosen, offered)
    try:
        model = recipe(own, parts)
    except VaezooError:
        raise
    except ValueError as error:  # an objective, a schedule or a network refused its arguments
        raise OptionError(f"{name}: {error}") from error
    except Exception as error:  # a bug of the recipe's, whose traceback its author needs
        error.add_note(
            f"raised by the recipe of {name!r}, of {plugin.distribution} {plugin.version}"
        )
        raise
    if not isinstance(model, VAE):
        raise lookup.wrong_result(spec, model, "vaezoo.VAE")
    numbers, used = parts.finish()
    model.config = ModelConfig(
        variant=name,
        options=to_json(own),
        shared=numbers,
        parts=used,
        plugin=plugin.recorded(),
        part_plugins=parts.plugins,
    )
    return model


def from_config(config: ModelConfig) -> VAE:
    """The model that a config describes, freshly initialised."""
    return create(config.variant, **config.shared, **config.parts, **config.options)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What there is to know of a variant or component."""

    name: str
    kind: str
    summary: str
    paper: str
    options: tuple[Option, ...]
    """Its own options."""
    shared: tuple[Option, ...]
    """For variants: the options that all of them take."""
    requires: tuple[str, ...]
    plugin: str
    distribution: str
    version: str


def kinds(name: str) -> list[str]:
    """What the name is that of: "variant", "network", ...; mostly one, and empty if unknown."""
    return [of.kind for of in SPECS for spec, _ in lookup.specs(of) if spec.name == name]


def describe(name: str, kind: str | None = None) -> Description:
    """Summary, paper, options with defaults and meaning, plugin and version.

    ``name`` is a variant's or a component's; kind: which, where several kinds share the name
    (default: the first of variant, network, prior, likelihood, dataset, metric). One that needs a
    package which is not installed is described without its options. Raises UnknownVariantError.
    """
    found = [
        (spec, plugin)
        for of in SPECS
        for spec, plugin in lookup.specs(of)
        if spec.name == name and kind in (None, of.kind)
    ]
    if not found:
        known = [spec.name for kind in SPECS for spec, _ in lookup.specs(kind)]
        variants = ", ".join(lookup.list_variants())
        hint = f"{nearest(name, known)} Variants: {variants}.{lookup.skipped()}"
        raise UnknownVariantError(f"unknown name {name!r}.{hint}")
    spec, plugin = found[0]
    options = () if spec.missing() else options_of(options_class(lookup.recipe(spec)))
    variant = isinstance(spec, VariantSpec)
    return Description(
        name=spec.name,
        kind=spec.kind,
        summary=spec.summary,
        paper=spec.paper if isinstance(spec, VariantSpec) else "",
        options=options,
        shared=options_of(SharedOptions) if variant else (),
        requires=spec.requires,
        plugin=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
    )

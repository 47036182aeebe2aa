"""What a recipe builds a model from: components chosen by name or options, or the defaults."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

from vaezoo.choosing import Choice, Component, choose
from vaezoo.errors import OptionError, did_you_mean
from vaezoo.heads import Head, PredictedSigma
from vaezoo.networks.layers import Direction
from vaezoo.networks.mlp import MLP, mlp
from vaezoo.networks.own import Wrapped, takes
from vaezoo.parts import Folded, NetworkDecoder, NetworkEncoder
from vaezoo.registry import lookup
from vaezoo.registry.discovery import DISTRIBUTION
from vaezoo.registry.specs import LikelihoodSpec, NetworkSpec, PriorSpec, Spec

LATENT_DIM = 16  # unless the caller chose it, or a shape
OFFERS = ("num_classes", "latent_dim", "latent_shape", "network", "likelihood")
"""What a caller can give as a default, rather than as a choice that must be used."""


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """What every variant can be given beside its own options."""

    input_shape: tuple[int, ...] = (1, 28, 28)
    """Shape of one example: (C, H, W) for images, (D,) for vectors."""
    latent_dim: int | None = None
    """How many numbers one z holds. Default: 16."""
    latent_shape: tuple[int, ...] | None = None
    """Shape of one z instead of latent_dim, such as (4, 8, 8): channels, height and width of a
    spatial code, which network resnet makes without a dense layer."""
    num_classes: int | None = None
    """How many labels there are, for models that are conditioned on them."""
    network: str | None = None
    """Network of encoder and decoder. Default: conv for images of 32 pixels and more, else mlp."""
    likelihood: str | None = None
    """p(x|z). Default: bernoulli for images, gaussian for vectors."""
    prior: str | None = None
    """p(z). Default: the variant's own, mostly standard-normal."""

    def __post_init__(self) -> None:
        if not self.input_shape or any(size < 1 for size in self.input_shape):
            raise ValueError(f"input_shape must be (C, H, W) or (D,), not {self.input_shape!r}")
        if self.latent_dim is not None and self.latent_dim < 1:
            raise ValueError(f"latent_dim must be positive, not {self.latent_dim}")
        if self.latent_shape is not None:
            if self.latent_dim is not None:
                raise ValueError("give latent_dim or latent_shape, not both")
            if not self.latent_shape or any(size < 1 for size in self.latent_shape):
                raise ValueError(
                    f"latent_shape must hold positive sizes, as in (4, 8, 8), not "
                    f"{self.latent_shape!r}"
                )
        if self.num_classes is not None and self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, not {self.num_classes}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """All that it takes to make the model again; what is saved beside the weights."""

    variant: str
    options: Mapping[str, Any]
    shared: Mapping[str, Any]
    """input_shape, latent_dim or latent_shape, and num_classes where it is used."""
    parts: Mapping[str, Any]
    """network, likelihood, prior: name and options; None for a module of the user's own."""
    plugin: Mapping[str, str]
    """Distribution and version of the plugin that brought the variant."""
    part_plugins: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """The same for each part that another distribution than vaezoo brought."""

    @property
    def rebuildable(self) -> bool:
        """Whether no part was a module of the user's own."""
        return None not in self.parts.values()


class Parts:
    """What a recipe builds a model from: the caller's choices, or the defaults.

    Whatever the caller chose must be used by the recipe; ``create`` refuses what is left over.
    What the caller merely offers comes before the defaults here, and after the variant's own.
    """

    def __init__(
        self,
        owner: str,
        shared: SharedOptions,
        chosen: Mapping[str, Any],
        offered: Mapping[str, Any] | None = None,
    ) -> None:
        offered = offered or {}
        self._owner = owner
        self._part = owner  # what is being built
        self._shared = shared
        if unknown := sorted(offered.keys() - set(OFFERS)):
            raise OptionError(
                f"{unknown[0]!r} cannot be offered.{did_you_mean(unknown[0], OFFERS)}"
            )
        self._offered = {name: value for name, value in offered.items() if value is not None}
        self._classes = shared.num_classes or self._offered.get("num_classes")
        self._chosen = {name: value for name, value in chosen.items() if value is not None}
        self._used: dict[str, Any] = {}
        self.plugins: dict[str, dict[str, str]] = {}
        """By slot, distribution and version of what is not vaezoo's own, as far as it is used."""
        self._codes: tuple[int, tuple[int, ...]] | None = None
        self._numbers: dict[str, Any] = {"input_shape": list(shared.input_shape)}
        self._group: tuple[int, ...] | None = None  # the latent shape, of another group of latents

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self._shared.input_shape

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one z: (latent_dim,) unless the caller chose another."""
        if self._group is not None:
            return self._group
        shape, dim = self._shared.latent_shape, self._shared.latent_dim
        if shape is None and dim is None:
            shape, dim = self._offered.get("latent_shape"), self._offered.get("latent_dim")
        if shape is not None:
            self._numbers["latent_shape"] = list(shape)
            return tuple(shape)
        self._numbers["latent_dim"] = LATENT_DIM if dim is None else dim
        return (self._numbers["latent_dim"],)

    def latent_vector(self, what: str) -> tuple[int]:
        """(latent_dim,), for what is over vectors; a shape that was offered gives way.

        what: it is called in the error. Raises OptionError where the caller asked for a shape.
        """
        if self._shared.latent_shape is not None:
            raise OptionError(
                f"{what} is over vectors, and latent_shape is {self._shared.latent_shape}: give "
                f"latent_dim"
            )
        self._offered.pop("latent_shape", None)
        (dim,) = self.latent_shape
        return (dim,)

    @property
    def latent_dim(self) -> int:
        """How many numbers one z holds."""
        return prod(self.latent_shape)

    @property
    def num_classes(self) -> int:
        """How many labels there are. Raises OptionError unless the caller said so."""
        if self._classes is None:
            raise OptionError(
                f"{self._part} is conditioned on labels: it needs data that have them, and "
                f"num_classes, how many there are"
            )
        if self._classes < 2:
            raise OptionError(
                f"{self._part} is conditioned on labels, and the data have one class alone: it "
                f"needs two or more; take a variant without labels, such as vae"
            )
        self._numbers["num_classes"] = self._classes
        return self._classes

    @property
    def codes(self) -> tuple[int, tuple[int, ...]]:
        """Of what a prior is over, where latents are discrete: how many codes there are to choose
        from, and the grid of their places. Raises OptionError where they are not.
        """
        if self._codes is None:
            raise OptionError(
                f"{self._part} is over discrete codes, and the latents of {self._owner} are none: "
                f"choose another prior, or a variant with discrete codes"
            )
        return self._codes

    def code_shape(self, numbers: int | None, default: int) -> tuple[int, ...]:
        """The shape (C, *grid) of a z that is a grid of discrete codes of C numbers each.

        The grid is latent_dim codes in a row, or that of a latent_shape (C, *grid). numbers: C,
        where the variant's options say it. Raises OptionError where the caller's latent_shape has
        another C; an offered one gives way. Default: that of the caller, else ``default``.
        """
        shape = self.latent_shape
        if len(shape) == 1:
            return (numbers or default, *shape)
        if numbers not in (None, shape[0]):
            if self._shared.latent_shape is not None:
                raise OptionError(
                    f"latent_shape {shape} is that of codes of {shape[0]} numbers, and here a "
                    f"code has {numbers}: give latent_shape {(numbers, *shape[1:])}"
                )
            shape = (numbers or default, *shape[1:])
            self._numbers["latent_shape"] = list(shape)
        return shape

    def encoder(self, *, conditional: bool = False, head: Head | None = None) -> nn.Module:
        """q(z|x), or q(z|x,y) if conditional: a diagonal normal, unless ``head`` makes another.

        A head of another event shape than ``latent_shape`` makes a z of that shape.
        """
        own = self._module("encoder")
        if own is not None and not isinstance(own, Wrapped):
            return own
        head = PredictedSigma(self.latent_shape) if head is None else head
        network, classes = self._network_of(
            "encoder", own, self.input_shape, head.input_shape, conditional
        )
        return NetworkEncoder(network, head, num_classes=classes, features=self._features())

    def decoder(
        self,
        *,
        conditional: bool = False,
        likelihood: Component | None = None,
        latent_shape: tuple[int, ...] | None = None,
    ) -> nn.Module:
        """p(x|z), or p(x|z,y) if conditional.

        likelihood: as in ``head``. latent_shape: of the z that it takes, where that is not what
        the caller chose; for models of several groups of latents.
        """
        own = self._module("decoder")
        if own is not None and not isinstance(own, Wrapped):
            return own
        head = self.head(likelihood=likelihood)
        network, classes = self._network_of(
            "decoder", own, latent_shape or self.latent_shape, head.input_shape, conditional
        )
        return NetworkDecoder(network, head, num_classes=classes)

    def prior(
        self,
        default: Component = "standard-normal",
        *,
        latent_shape: tuple[int, ...] | None = None,
        codes: tuple[int, tuple[int, ...]] | None = None,
    ) -> nn.Module:
        """p(z), the variant's default unless the caller chose one; each call makes a new one.

        latent_shape: of z, where that is not what the caller chose; for models of several groups
        of latents. codes: of discrete latents, what ``parts.codes`` is to be for the prior's
        recipe. Raises OptionError for a second prior where the caller brought a module.
        """
        if isinstance(self._chosen.get("prior"), nn.Module):
            self._use_module("prior")
            return self._chosen["prior"]  # type: ignore[no-any-return]
        choice = self._component("prior", PriorSpec, default)
        parts = copy.copy(self)  # whose records are this one's
        parts._part, parts._group = f"the prior {choice.spec.name!r}", latent_shape
        parts._codes = codes
        return choice(parts)  # type: ignore[no-any-return]

    def network(
        self,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        *,
        context_dim: int = 0,
        direction: Direction,
    ) -> Folded:
        """A network of the chosen kind, over any leading dimensions."""
        image = self.input_shape if len(self.input_shape) == 3 else (0, 0, 0)
        default = self._offered.get("network", "conv" if min(image[1:]) >= 32 else "mlp")
        network = self._component("network", NetworkSpec, default)(
            input_shape=input_shape,
            output_shape=output_shape,
            context_dim=context_dim,
            direction=direction,
        )
        return Folded(network, event_ndim=len(input_shape))

    def dense(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Folded:
        """A dense network from one group of latents to another, where images have no say.

        The layers are those of the network ``mlp`` if the caller chose it, else its defaults.
        """
        chosen = self._chosen.get("network", "mlp")
        choice = choose(NetworkSpec, chosen)
        options = choice.options if isinstance(choice.options, MLP) else MLP()
        network = mlp(options, input_shape=input_shape, output_shape=output_shape)
        return Folded(network, event_ndim=len(input_shape))

    def head(
        self, event_shape: tuple[int, ...] | None = None, *, likelihood: Component | None = None
    ) -> Head:
        """The head of the chosen likelihood, over examples unless told otherwise.

        likelihood: the variant's default, where it is another than all variants'.
        """
        default = likelihood or self._default_likelihood
        choice = self._component("likelihood", LikelihoodSpec, default)
        return choice(event_shape or self.input_shape)  # type: ignore[no-any-return]

    @property
    def _default_likelihood(self) -> Component:
        images = len(self.input_shape) == 3
        return self._offered.get("likelihood", "bernoulli" if images else "gaussian")

    def _features(self) -> Callable[[Tensor], Tensor]:
        """How the likelihood would have an encoder see x."""
        decoder = self._chosen.get("decoder")
        if decoder is None or isinstance(decoder, Wrapped):
            likelihood = self._chosen.get("likelihood", self._default_likelihood)
            head = choose(LikelihoodSpec, likelihood)(self.input_shape)
        else:
            head = getattr(decoder, "head", None)
        return head.features if isinstance(head, Head) else Head.features

    def _network_of(
        self,
        slot: Literal["encoder", "decoder"],
        own: Wrapped | None,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        conditional: bool,
    ) -> tuple[Folded, int | None]:
        """The user's own network if there is one, else the chosen kind; with how many labels."""
        conditional = conditional and (own is None or own.takes_labels())
        classes = self.num_classes if conditional else None
        if own is not None:
            network = own.fitted(slot, input_shape, output_shape, classes or 0)
            return Folded(network, event_ndim=len(input_shape)), classes
        direction: Direction = "down" if slot == "encoder" else "up"
        return (
            self.network(input_shape, output_shape, context_dim=classes or 0, direction=direction),
            classes,
        )

    def _module(self, name: str) -> nn.Module | None:
        module = self._chosen.get(name)
        if module is None:
            return None
        if not isinstance(module, nn.Module):
            raise OptionError(
                f"{name} must be a module, not {module!r}; choose a network by its name with "
                f"network=..."
            )
        if not takes(module, 2):
            argument = "x" if name == "encoder" else "z"
            raise OptionError(
                f"{name} must be a module that is called with ({argument}, y) and returns a "
                f"torch Distribution, and {type(module).__name__} takes no second argument: a "
                f"network that returns tensors is passed as {name}=vaezoo.wrap(network)"
            )
        self._use_module(name)
        return module

    def _use_module(self, name: str) -> None:
        if name in self._used:
            by_name = "a prior by its name" if name == "prior" else "a network, network=..."
            raise OptionError(
                f"{self._owner} builds several {name}s, and one of your own cannot be all: "
                f"leave {name} out, or choose {by_name}"
            )
        self._used[name] = None

    def _component(self, slot: str, kind: type[Spec], default: Component) -> Choice:
        choice = choose(kind, self._chosen.get(slot, default))
        self._used[slot] = choice.to_json()
        plugin = lookup.owner(choice.spec)
        if plugin is not None and plugin.distribution != DISTRIBUTION:
            self.plugins[slot] = plugin.recorded()
        return choice

    def finish(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The numbers and parts that were used. Raises OptionError for what was not."""
        unused = [name for name in self._chosen if name not in self._used]
        for name in ("num_classes", "latent_shape"):
            if getattr(self._shared, name) is not None and name not in self._numbers:
                unused.append(name)
        if unused:
            raise OptionError(
                f"{self._owner} makes no use of {', '.join(sorted(unused))} here: leave it out"
            )
        return self._numbers, self._used

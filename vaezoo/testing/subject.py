"""The variant under test: fresh models of it, and data for them.

All sizes differ from each other, so that a transposed or dropped axis shows.
B batch, K importance samples, D latent.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaezoo.batch import Batch
from vaezoo.errors import DataError, OptionError
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.objectives import Objective
from vaezoo.registry import VariantSpec, lookup
from vaezoo.registry.specs import Spec
from vaezoo.testing.fresh import Fresh, run_fresh
from vaezoo.trace import Trace
from vaezoo.zoo import create

B, K, D, CLASSES = 3, 4, 5, 6
IMAGE, VECTOR = (2, 12, 20), (7,)
NUM_EXAMPLES = 1000  # what ``prepare`` is told
LATE = 999_983  # a step after every warm-up; a prime, so that no cycle begins there
CPU = torch.device("cpu")


class Subject:
    """A variant with the options that it is checked at.

    options: those of ``create``, which take the place of the kit's sizes. Raises
    UnknownVariantError; OptionError for a part that is a module, since the kit makes the model
    again in another process.
    """

    def __init__(self, name: str, /, **options: Any) -> None:
        self.name = name
        self.spec = lookup.find(VariantSpec, name)
        self.given = options
        self.unsound = ""  # the check that failed, and that those after it rest on

    @cached_property
    def options(self) -> dict[str, Any]:
        """All of ``create``'s arguments, with defaults, JSON-ready."""
        latent = {} if "latent_shape" in self.given else {"latent_dim": D}
        options = {"input_shape": IMAGE, **latent, **self.given}
        try:
            model = create(self.name, **options)
        except OptionError as refusal:
            try:  # conditioned on labels?
                model = create(self.name, **options, num_classes=CLASSES)
            except (OptionError, TypeError):
                raise refusal from None
        config = model.config
        assert config is not None
        if not config.rebuildable:
            raise OptionError(f"{self.name!r} is checked with parts by name, not with modules")
        return {**config.shared, **config.parts, **config.options}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.options["input_shape"])

    @property
    def num_classes(self) -> int | None:
        """How many labels there are; None: the variant takes none."""
        return self.options.get("num_classes")

    @property
    def where(self) -> str:
        """Where the recipe is written, and those of the parts that were chosen."""
        return "\n".join(map(_place, self.specs))

    @property
    def specs(self) -> list[Spec]:
        """That of the variant, and those of the parts that were chosen by name."""
        parts = {kind: self.given[kind] for kind in lookup.PARTS if kind in self.given}
        names = {(k, p["name"] if isinstance(p, Mapping) else p) for k, p in parts.items()}
        chosen = (spec for spec, _ in lookup.specs(Spec) if (spec.kind, spec.name) in names)
        return [self.spec, *chosen]

    def vectors(self) -> Subject | None:
        """The variant for vectors instead of images, or None where it refuses them."""
        if self.given.keys() & {"input_shape", "network", "likelihood"}:
            return None
        subject = Subject(self.name, **{**self.given, "input_shape": VECTOR})
        try:
            _ = subject.options
        except OptionError:
            return None
        return subject

    def model(self, *, seed: int = 0, noise: float = 0.0) -> VAE:
        """A fresh model, prepared, in training mode.

        noise: standard deviation of what is added to all parameters, so that nothing is at a
        special value, such as zero, where it starts.
        """
        options, batch = self.options, self.batch()  # may draw, so before seeding
        with seeded(seed, CPU):
            model = create(self.name, **options)
            for module in (model, model.objective):
                module.prepare(batch, NUM_EXAMPLES)
            with torch.no_grad():
                for parameter in model.parameters() if noise else ():
                    parameter.add_(noise * torch.randn_like(parameter))
        return model

    def batch(self, size: int = B, seed: int = 1) -> Batch:
        """Examples that differ from each other: grey if the likelihood takes it, else binary."""
        generator = torch.Generator().manual_seed(seed)
        shape = (size, *self.input_shape)
        x = torch.randint(0, 256, shape, generator=generator) / 255
        x = x if self.grey else x.round()
        return Batch(x, self.labels(size), torch.arange(size))

    def blocks(self, size: int) -> Batch:
        """Black-and-white examples that every network can draw: images of a few large blocks."""
        shape = self.input_shape
        generator = torch.Generator().manual_seed(1)
        if len(shape) == 3:
            coarse = torch.rand(size, shape[0], 2, 3, generator=generator).round()
            x = torch.nn.functional.interpolate(coarse, size=shape[1:])
        else:
            x = torch.rand(size, *shape, generator=generator).round()
        return Batch(x, self.labels(size), torch.arange(size))

    def labels(self, size: int) -> Tensor | None:
        """(size,) labels, or None where the variant takes none."""
        classes = self.num_classes
        return None if classes is None else torch.arange(size - 1, -1, -1) % classes

    @cached_property
    def grey(self) -> bool:
        """Whether the likelihood takes values between 0 and 1, and not these two alone."""
        head = getattr(create(self.name, **self.options).decoder, "head", None)
        try:
            if head is not None:
                head.check(torch.full((1, *self.input_shape), 128 / 255))
        except DataError:
            return False
        return True

    @cached_property
    def fresh(self) -> Fresh:
        """What happens where the variant is trained for the first time in a new process."""
        return run_fresh(self.name, self.options)


def _place(spec: Spec) -> str:
    """Where a recipe is written."""
    try:
        recipe = inspect.unwrap(lookup.recipe(spec))
        line = inspect.getsourcelines(recipe)[1]
        place = f" in {inspect.getsourcefile(recipe)}:{line}"
    except Exception:  # a recipe that cannot be loaded, or has no source
        place = ""
    plugin = lookup.owner(spec)
    whose = (
        f" (plugin {plugin.name!r} of {plugin.distribution} {plugin.version})" if plugin else ""
    )
    return f"recipe {spec.target}{place}{whose}"


def weights_of(objective: Objective, step: int = LATE) -> dict[str, Tensor]:
    """The objective's weights at a step."""
    return objective.weights(torch.tensor(step))


def base_of(distribution: Distribution) -> Distribution:
    """What a factorised distribution is made of."""
    while isinstance(distribution, Independent):
        distribution = distribution.base_dist
    return distribution


def traces(model: VAE, batch: Batch, total: int, seed: int = 0) -> Iterator[Trace]:
    """Traces of together ``total`` samples of each latent: eval mode, no gradient."""
    size = 250
    with seeded(seed, CPU), evaluating(model):
        for start in range(0, total, size):
            yield model(batch.x, batch.y, min(size, total - start))

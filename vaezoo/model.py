"""A VAE: how a Trace is made, and what users do with a trained model.

B batch, K importance samples. All likelihoods are in nats, summed over event dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaezoo import importance
from vaezoo.batch import Batch
from vaezoo.errors import DataError, LatentsError, NoBoundError, OptionError, did_you_mean
from vaezoo.heads.data_checks import check_finite
from vaezoo.inference import CHUNK, chunks, inference, seeded
from vaezoo.integers import whole
from vaezoo.interpolation import PATHS, Mode
from vaezoo.objectives import ELBO, Objective
from vaezoo.parts import Borrowed, Decoder, Prior
from vaezoo.trace import Bound, Site, Trace, draw

if TYPE_CHECKING:
    from vaezoo.assembly import ModelConfig
    from vaezoo.data.preprocessing import Preprocessing


DECODER = "decoder/"  # what begins the names of its state


class VAE(nn.Module):
    """p(x, z) = p(x|z,y) p(z|y), with the approximate posterior q(z|x,y).

    encoder: ``(x, y) -> q(z|x,y)``. decoder: ``(z, y) -> p(x|z,y)``. prior: ``(y) -> p(z|y)``.
    objective: what training minimises; the model refers to it without owning it. bound: whether
    log p(x|z) - KL is a bound on log p(x).

    Calling the model makes a Trace, in whatever mode it is and with gradient. All other methods
    run in eval mode without gradient, and leave the mode as it was.

    A subclass overrides ``forward`` to make another Trace, with ``generate`` where p(x) is not
    the decoder at a draw from the prior; all methods then follow. ``prepare``, ``observe`` and
    ``after_step`` are for what is learned without gradient.
    """

    semi_supervised: bool = False
    """Whether examples may be unlabelled: y = -1, or no y at all."""
    fitted_later: tuple[str, ...] = ()
    """The names of parts that another stage of training fits, to the model of the one before: of
    these, the weights of that one, which are loaded ``into`` it, hold nothing."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        *,
        objective: Objective | None = None,
        bound: Bound = "exact",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.prior = prior
        self.bound: Bound = bound
        self.config: ModelConfig | None = None
        self.prepared = False  # whether training has begun, here or before it was loaded
        self.origin: str | None = None  # the file that it was loaded from
        self.preprocessing: Preprocessing | None = None
        """How files become what the model takes, if it was trained on files."""
        self.classes: tuple[str, ...] = ()
        """What the labels 0, 1, ... that it is conditioned on are called, if that is known."""
        self._objective = Borrowed(objective if objective is not None else ELBO())
        if isinstance(prior, Prior):
            prior.attach(encoder)

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Trace:
        """x (B, *input_shape), y (B,) -> the Trace of ``samples`` draws of z for each example.

        0 samples: the means of q stand for one draw, so that nothing is random.
        """
        q = self.encoder(x, y)  # q(z|x,y), batch shape (B,)
        z = draw(q, samples)  # (K, B, *latent)
        p = self.prior(y)  # p(z|y), batch shape () or (B,)
        px = self.decoder(z, y)  # p(x|z,y), batch shape (K, B)
        return Trace(x, px, (Site(q, p, z),), bound=self.bound)

    def generate(self, n: int, y: Tensor | None = None) -> Distribution:
        """p(x|z,y) at ``n`` draws of z from the prior, with batch shape (n,). ``sample`` calls it.

        A model of several groups of latents overrides it.
        """
        return self.decoder(self.sample_prior(n, y), y)  # type: ignore[no-any-return]

    def sample_prior(
        self, n: int, y: Tensor | None = None, prior: nn.Module | None = None
    ) -> Tensor:
        """``n`` draws of z from p(z|y), y (n,): (n, *latent_shape). prior: of another group."""
        p = (self.prior if prior is None else prior)(y)
        return p.sample((n,) if p.batch_shape == () else ())  # type: ignore[no-any-return]

    def prepare(self, batch: Batch, num_examples: int) -> None:
        """Once, eagerly, before the first training step.

        Default: the ``prepare`` of prior and decoder, so a subclass calls this one, too.
        """
        for part in (self.prior, self.decoder):
            if isinstance(part, Prior | Decoder):
                part.prepare(batch)

    def observe(self, trace: Trace) -> dict[str, Tensor]:
        """What ``after_step`` must know of a training batch, detached: here, the decoder's part.

        The default loss adds it to the state of the trace and of the objective's terms.
        """
        if not isinstance(self.decoder, Decoder):
            return {}
        observed = self.decoder.observe(trace.px, trace.x)
        return {f"{DECODER}{name}": value for name, value in observed.items()}

    def after_step(self, state: dict[str, Tensor]) -> None:
        """Once after each training step, without gradient, with what it told: see ``observe``.

        Default: the decoder's own ``after_step``, so a subclass calls this one, too.
        """
        observed = {
            name.removeprefix(DECODER): value
            for name, value in state.items()
            if name.startswith(DECODER)
        }
        if observed and isinstance(self.decoder, Decoder):
            self.decoder.after_step(observed)

    # What the model is.

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What ``to``, ``double``, ``cuda``, ... do, to the objective as well: it has critics."""
        self.objective._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call,no-any-return]

    def __setattr__(self, name: str, value: Any) -> None:
        # A module's __setattr__ would register it beside the property, which goes on as before.
        if name == "objective":
            raise AttributeError(
                "a model's objective is given when it is made: "
                "vaezoo.VAE(model.encoder, model.decoder, model.prior, objective=...)"
            )
        super().__setattr__(name, value)

    @property
    def objective(self) -> Objective:
        """What training minimises. Not part of the exported weights."""
        return self._objective.module

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one example, as far as the decoder's head tells."""
        return getattr(getattr(self.decoder, "head", None), "event_shape", None)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one z."""
        return tuple(self.prior.event_shape)  # type: ignore[arg-type]

    @property
    def latent_dim(self) -> int:
        """How many numbers one z holds."""
        return math.prod(self.latent_shape)

    @property
    def num_classes(self) -> int | None:
        """How many labels the model is conditioned on; None: it ignores y."""
        parts = (self.encoder, self.decoder, self.prior)
        return next((n for part in parts if (n := getattr(part, "num_classes", None))), None)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    # Latents.

    @inference
    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """q(z|x,y) with batch shape (B,). Raises LatentsError for several groups of latents."""
        self._require_one_site("encode")
        return self.encoder(*self._coded(x, y))  # type: ignore[no-any-return]

    @inference
    def decode(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        """p(x|z,y). z (..., *latent_shape), y matching z's last leading dimension.

        Raises LatentsError for a model of several groups of latents.
        """
        self._require_one_site("decode")
        z, event = torch.as_tensor(z), len(self.latent_shape)
        if z.ndim <= event or tuple(z.shape[-event:]) != self.latent_shape:
            raise DataError(
                f"z has shape {tuple(z.shape)}; it must be (..., B, "
                f"{', '.join(map(str, self.latent_shape))})"
            )
        z = z.to(self.device, self.dtype)
        check_finite(z.reshape(-1, *self.latent_shape), "code")
        return self.decoder(z, self._labels(y, z.shape[-1 - event]))  # type: ignore[no-any-return]

    @inference
    def embed(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The posterior mean, flat: (B, D), deterministic.

        Of several groups of latents, one after the other: each the mean at the means of others.
        """
        x, y = self._coded(x, y)
        if self._sites() > 1:
            traces = (self._at_means(*c) for c in chunks(x, y))
            return torch.cat([torch.cat([s.z[0].flatten(1) for s in t.sites], 1) for t in traces])
        return torch.cat([self.encoder(*c).mean.flatten(1) for c in chunks(x, y)])

    # Labels.

    def predict(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The most probable label of each example: (B,) int64. As ``predict_proba``."""
        return self.predict_proba(x, seed=seed).argmax(1)

    @inference
    def predict_proba(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """p(y|x) by Bayes' rule, of equally frequent labels: (B, num_classes).

        Their likelihoods p(x|y) are estimated by the ELBO with one z for each label, drawn from
        ``seed``. A model with a classifier of its own, q(y|x), gives that instead. Raises
        DataError for a model without labels, NoBoundError for one without a bound.
        """
        n = len(torch.as_tensor(x))
        labels = (torch.full((n,), y) for y in range(self.require_labels()))
        return torch.stack([self.elbo(x, y, seed=seed) for y in labels], 1).softmax(1)

    def require_labels(self) -> int:
        """How many labels there are; DataError for a model that ignores them."""
        if self.num_classes is None:
            raise DataError(
                "this model predicts no labels: it ignores them; take a variant with num_classes, "
                "or fit a classifier to its codes, embed(x)"
            )
        return self.num_classes

    # Pictures, and what they are made of.

    @inference
    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x|z,y) at the posterior mean: (B, *input_shape)."""
        x, y = self._coded(x, y)
        if self._sites() > 1:
            return torch.cat([self._at_means(*c).px.mean[0] for c in chunks(x, y)])
        return torch.cat([self.decoder(self.encoder(*c).mean, c[1]).mean for c in chunks(x, y)])

    @inference
    def sample(self, n: int, y: Tensor | None = None, seed: int | None = None) -> Tensor:
        """The means of p(x|z,y) at ``n`` draws of z from the prior: (n, *input_shape)."""
        n = whole(n, "n", least=1)
        y = self._labels(y, n)
        if type(self).generate is VAE.generate:
            self._require_one_site("sample")
        sizes = [min(CHUNK, n - start) for start in range(0, n, CHUNK)]
        labels = [None] * len(sizes) if y is None else torch.split(y, CHUNK)
        with seeded(seed, self.device):
            made = zip(sizes, labels, strict=True)
            return torch.cat([self.generate(size, label).mean for size, label in made])

    @inference
    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        steps: int = 11,
        y: Tensor | None = None,
        *,
        mode: Mode = "linear",
    ) -> Tensor:
        """Decoded means on the path between two examples' codes: (B, steps, *input_shape).

        a, b (B, *input_shape); y (B,), which both examples of a pair are given. mode: "linear",
        or "spherical" (White 2016), which turns about the origin, where N(0, I) has its mean:
        see ``vaezoo.interpolation``. Raises OptionError for another mode.
        """
        self._require_one_site("interpolate")
        if mode not in PATHS:
            raise OptionError(f"no interpolation {mode!r}.{did_you_mean(mode, PATHS)}")
        if len(a) != len(b):
            raise DataError(f"a and b must hold as many examples, not {len(a)} and {len(b)}")
        if steps < 2:
            raise DataError(f"an interpolation needs at least its 2 ends as steps, not {steps}")
        a, y = self._coded(a, y)
        start, end = (self.encoder(*self._checked(x, y)).mean for x in (a, b))
        t = torch.linspace(0, 1, steps, device=start.device, dtype=start.dtype)
        z = PATHS[mode](start, end, t)  # (steps, B, *latent)
        return self.decoder(z, y).mean.transpose(0, 1)  # type: ignore[no-any-return]

    @inference
    def traverse(
        self,
        x: Tensor,
        dims: list[int] | None = None,
        *,
        steps: int = 11,
        limit: float = 3.0,
        y: Tensor | None = None,
    ) -> Tensor:
        """Decoded means as one latent at a time goes from -limit to limit around x's code.

        x (1, *input_shape), y (1,) -> (len(dims), steps, *input_shape); dims None means all.
        Those of a spatial code are counted as ``embed`` has them, flat.
        """
        self._require_one_site("traverse")
        x, y = self._coded(x, y)
        if len(x) != 1:
            raise DataError(f"a traversal starts from one example (1, ...), not {len(x)}")
        code = self.encoder(x, y).mean  # (1, *latent)
        dims = list(range(self.latent_dim)) if dims is None else dims
        if not dims or steps < 1:
            raise DataError("a traversal needs at least one dimension and one step")
        if wrong := [d for d in dims if not 0 <= d < self.latent_dim]:
            raise DataError(f"no latent dimension {wrong}: there are 0..{self.latent_dim - 1}")
        z = code.flatten(1).repeat(len(dims) * steps, 1)
        values = torch.linspace(-limit, limit, steps, device=z.device, dtype=z.dtype)
        rows = torch.arange(len(z), device=z.device)
        z[rows, torch.tensor(dims, device=z.device).repeat_interleave(steps)] = values.repeat(
            len(dims)
        )
        z = z.reshape(-1, *self.latent_shape)
        labels = None if y is None else y.expand(len(z))
        images = torch.cat([self.decoder(*c).mean for c in chunks(z, labels)])
        return images.reshape(len(dims), steps, *images.shape[1:])

    # Likelihoods.

    @inference
    def elbo(self, x: Tensor, y: Tensor | None = None, seed: int | None = None) -> Tensor:
        """log p(x|z,y) - KL with one sampled z for each example: (B,), nats. No beta.

        Raises NoBoundError for a model whose objective is no likelihood bound.
        """
        self.require_bound("elbo")
        x, y = self._checked(x, y)
        with seeded(seed, self.device):
            return torch.cat([self(*c, samples=1).elbo[0] for c in chunks(x, y)])

    @inference
    def log_likelihood(
        self,
        x: Tensor,
        y: Tensor | None = None,
        samples: int = 5000,
        seed: int | None = None,
        *,
        chunk: int | None = None,
        first: int = 0,
    ) -> Tensor:
        """log 1/S Σ_s p(x|z_s) p(z_s) / q(z_s|x), a lower bound that tightens with S: (B,), nats.

        Burda et al. 2016, eq. 8, with all constants. chunk: how many examples are decoded at
        once, which bounds memory and changes nothing else but the order of float sums. Default:
        what a CPU's cache holds, or 2^25 values on a GPU. A model with a ``forward`` of its own
        decodes 5 samples of up to 100 examples at once, whatever ``chunk`` is.

        The draws are a function of the seed (None: one drawn from torch's generator), of an
        example's place in x, and of ``samples``. first: the place of x[0] in data that come piece
        by piece, a multiple of 100: pieces of multiples of 100 examples give what the whole does.

        Raises NoBoundError for a model whose objective is no bound on log p(x), DataError.
        """
        self.require_bound("log_likelihood", exact=True)
        samples = whole(samples, "samples", least=1)
        chunk = None if chunk is None else whole(chunk, "chunk", least=1)
        if first < 0 or first % importance.BLOCK:
            raise DataError(f"first must be a multiple of {importance.BLOCK}, not {first}")
        x, y = self._checked(x, y)
        seed = int(torch.randint(2**63 - 1, ())) if seed is None else whole(seed, "seed")
        return importance.log_likelihood(
            self,
            x,
            y,
            samples=samples,
            seed=seed,
            chunk=chunk,
            first=first,
            own_forward=type(self).forward is not VAE.forward,
        )

    def require_bound(self, figure: str, *, exact: bool = False) -> None:
        """Raise NoBoundError where what the model minimises is no bound on log p(x).

        exact: a bound for a relaxation of the model is refused, too.
        """
        if self.bound == "none":
            raise NoBoundError(
                f"{figure} is not defined for this model: what it minimises is no bound on "
                f"log p(x)"
            )
        if exact and self.bound == "relaxed":
            raise NoBoundError(
                f"{figure} is not defined for this model: what it minimises bounds the likelihood "
                f"of a relaxation of it, not its own log p(x); the metric 'elbo' measures that "
                f"bound, and says so"
            )

    def _sites(self) -> int:
        """How many groups of latents it has, as a trace of zeros shows where that is open."""
        if type(self).forward is VAE.forward or self.input_shape is None:
            return 1
        x = torch.zeros(1, *self.input_shape, device=self.device, dtype=self.dtype)
        y = None if self.num_classes is None else torch.zeros(1, device=self.device).long()
        with seeded(0, self.device):
            return len(self(x, y).sites)

    def _at_means(self, x: Tensor, y: Tensor | None) -> Trace:
        """The Trace in which the means of q stand for one draw."""
        trace: Trace = self(x, y, samples=0)
        if any(len(site.z) != 1 for site in trace.sites):
            raise LatentsError(
                f"the author of {type(self).__name__} must draw by vaezoo.draw(q, samples) in "
                f"forward, so that samples=0 takes the means of q, with K = 1"
            )
        return trace

    def _require_one_site(self, method: str) -> None:
        if (sites := self._sites()) > 1:
            instead = {
                "encode": "take the sites of model(x), or embed(x)",
                "sample": "the author of its class must override generate(n, y), too",
            }
            raise LatentsError(
                f"{method} is for a model of one group of latents, and {type(self).__name__} has "
                f"{sites}: {instead.get(method, 'use reconstruct, sample and embed')}"
            )

    # Inputs.

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters."""
        floating = (p.dtype for p in self.parameters() if p.is_floating_point())
        return next(floating, torch.get_default_dtype())

    def _checked(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """x and y on the model's device, uint8 scaled; DataError for what does not fit."""
        shape = self.input_shape
        try:
            x = torch.as_tensor(x)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"x must be examples, as a tensor or an array, not a {type(x).__name__}"
            ) from error
        if x.ndim == 0 or len(x) == 0:
            raise DataError("x holds no example")
        if shape is not None and tuple(x.shape[1:]) != shape:
            raise DataError(
                f"x has shape {tuple(x.shape)}, but this model takes (B, "
                f"{', '.join(map(str, shape))})"
            )
        x = x.to(self.device)
        x = x.to(self.dtype) / 255 if x.dtype == torch.uint8 else x.to(self.dtype)
        check_finite(x, "example")
        if (head := getattr(self.decoder, "head", None)) is not None:
            head.check(x)
        return x, self._labels(y, len(x), unlabelled=self.semi_supervised)

    def _coded(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """x and y as encoder and decoder take them, who need each label: as ``_checked``."""
        return self._checked(x, y)

    def _labels(self, y: Tensor | None, n: int, *, unlabelled: bool = False) -> Tensor | None:
        """y on the model's device; DataError unless it is what the model is conditioned on.

        unlabelled: whether it may be missing, or -1.
        """
        if y is not None:
            y = torch.as_tensor(y)
        if self.num_classes is None:
            return y if y is None else y.to(self.device)
        valid = f"int64 labels in 0..{self.num_classes - 1}, one for each example"
        valid += ", -1 where unlabelled" if unlabelled else ""
        if y is None and unlabelled:
            return None
        if y is None:
            raise DataError(f"this model is conditioned on labels: pass y, {valid}")
        if y.shape != (n,) or y.is_floating_point() or y.dtype == torch.bool:
            raise DataError(f"y has shape {tuple(y.shape)} and type {y.dtype}; pass {valid}")
        low = -1 if unlabelled else 0
        if len(y) and not low <= y.min().item() <= y.max().item() < self.num_classes:
            raise DataError(
                f"y lies in {y.min().item()}..{y.max().item()}; this model takes {valid}"
            )
        return y.to(self.device, torch.int64)  # uint8 would index as a mask


def check_is_model(model: Any) -> None:
    """Raises OptionError for what is no model, such as the name of one."""
    if not isinstance(model, VAE):
        raise OptionError(
            f"a model must be a vaezoo.VAE, not {model!r:.60}: vaezoo.create makes one from a "
            f"variant's name, vaezoo.load reads one from a run's folder"
        )

"""One training step: what every variant shares, on every device.

    weights from schedules
    for each phase: batch -> Trace -> Terms -> gradient of the phase's own parameters -> update
    model.after_step(state)

Nothing here waits for the device: figures stay there until they are asked for, and a step whose
gradients are not finite is skipped there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from vaezoo.batch import Batch
from vaezoo.errors import OptionError
from vaezoo.model import VAE
from vaezoo.objectives import Phase, Weights, reduce
from vaezoo.training.average import Average
from vaezoo.training.config import Resolved
from vaezoo.training.optimizer import make_optimizer
from vaezoo.training.rates import learning_rate

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Scored = tuple[Tensor, Tensor, tuple[str, ...], dict[str, Tensor]]


class TrainingStep:
    """Runs the phases of a model's objective on a batch, and keeps the sums of their figures."""

    def __init__(self, model: VAE, config: Resolved) -> None:
        self.model = model
        self.config = config
        self.device = torch.device(config.device)
        check_memory_savers(model, config)
        try:
            self.phases = model.objective.phases(model)
        except ValueError as error:  # a phase without parameters: all of them are frozen
            raise OptionError(f"this model cannot be trained: {error}") from error
        self.updates = [Update(phase, config, self.device) for phase in self.phases]
        self.step = torch.zeros((), dtype=torch.int64, device=self.device)
        self.rate = learning_rate(config)
        self.average = None if config.ema is None else Average(model, config.ema)
        saved = model.state_dict(keep_vars=True).values()
        self.buffers = [t for t in saved if not isinstance(t, nn.Parameter)]

    def __call__(self, batch: Batch, step: int) -> None:
        weights = self.model.objective.weights(self.step)
        before = [buffer.clone() for buffer in self.buffers]
        state: dict[str, Tensor] = {}
        finite = torch.ones((), dtype=torch.bool, device=self.device)
        for update in self.updates:
            if step % update.phase.every == 0:
                state |= update(self.model, batch, weights, self.rate(self.step))
                finite = finite & update.finite
        with torch.no_grad():
            self.model.after_step(state)
            # A skipped step leaves running means and the like as they were, too.
            for buffer, old in zip(self.buffers, before, strict=True):
                buffer.copy_(torch.where(finite, buffer, old))
            if self.average is not None:
                self.average.update()
        self.step += 1

    def figures(self) -> dict[str, float]:
        """The means since the last call, and how many updates were skipped. Waits for them."""
        figures: dict[str, float] = {}
        for update in self.updates:
            figures |= update.figures(alone=len(self.updates) == 1)
        weights = self.model.objective.weights(self.step - 1)
        figures |= {name: weight.item() for name, weight in weights.items()}
        return figures


class Found(NamedTuple):
    """What a phase finds on a batch."""

    gradients: list[Tensor | None]
    finite: Tensor
    row: Tensor  # what is added to the sums
    names: tuple[str, ...]
    state: dict[str, Tensor]


class Update:
    """One phase with its optimizer and its sums."""

    def __init__(self, phase: Phase, config: Resolved, device: torch.device) -> None:
        self.phase = phase
        self.parameters = [*phase.parameters]
        self.clip_norm = config.clip_norm
        self.pieces = config.accumulate
        self.optimizer = make_optimizer(self.parameters, config, device)
        self.names: tuple[str, ...] = ()
        self.finite: Tensor  # whether the last step was
        self.sums: Tensor | None = None  # of the figures, the gradient's norm, and the counts
        self.score = score_function(phase)
        self.whole: Callable[[VAE, Batch, Weights], Found] = self._whole
        if config.execution in ("compiled", "captured") and phase.compile:
            if self.pieces == 1:
                self.whole = compiled(self._whole, phase.name)
            else:
                self.score = compiled(self.score, phase.name)

    def __call__(
        self, model: VAE, batch: Batch, weights: Weights, rate: Tensor
    ) -> dict[str, Tensor]:
        if self.pieces == 1:
            found = self.whole(model, batch, weights)
        else:
            found = self._summed(*self._in_pieces(model, batch, weights), {})
        self.finite, self.names = found.finite, found.names
        for parameter, gradient in zip(self.parameters, found.gradients, strict=True):
            parameter.grad = gradient
        # A fused optimizer leaves everything as it is where found_inf is 1.
        self.optimizer.found_inf = (~found.finite).float()
        self.optimizer.rate.copy_(rate * self.phase.rate)
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        if self.sums is None:
            self.sums = torch.zeros_like(found.row)
        self.sums += found.row  # where it lies: a captured step always adds there
        return found.state

    def _whole(self, model: VAE, batch: Batch, weights: Weights) -> Found:
        """What is compiled where the batch is not cut: forward, backward, norm, and clipping."""
        loss, figures, names, state = self.score(model, batch, weights)
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        state = {name: value.detach() for name, value in state.items()}
        return self._summed(gradients, figures, names, state)

    def _summed(
        self,
        gradients: Sequence[Tensor | None],
        figures: Tensor,
        names: tuple[str, ...],
        state: dict[str, Tensor],
    ) -> Found:
        norm = torch.nn.utils.get_total_norm([g for g in gradients if g is not None])
        if self.clip_norm is not None:
            factor = (self.clip_norm / (norm + 1e-6)).clamp(max=1)
            gradients = [None if g is None else g * factor for g in gradients]
        finite = norm.isfinite()
        one = torch.ones_like(norm)
        row = torch.cat([figures, torch.stack([norm, one]).float()])
        row = torch.where(finite, row, torch.zeros_like(row))
        row = torch.cat([row, one.float().unsqueeze(0)])
        return Found([*gradients], finite, row, names, state)

    def _in_pieces(
        self, model: VAE, batch: Batch, weights: Weights
    ) -> tuple[list[Tensor | None], Tensor, tuple[str, ...]]:
        """The gradient of the batch's mean loss, and its figures, from a piece at a time."""
        rows: list[Tensor] = []
        names: tuple[str, ...] = ()
        for piece in cut(batch, self.pieces):
            loss, figures, names, state = self.score(model, piece, weights)
            if state:
                raise OptionError(
                    f"accumulate={self.pieces} cannot be used with this model, which learns from "
                    f"whole batches ({', '.join(state)}): leave it out"
                )
            (loss / self.pieces).backward(inputs=self.parameters)  # type: ignore[no-untyped-call]
            rows.append(figures)
        return [p.grad for p in self.parameters], torch.stack(rows).mean(0), names

    def figures(self, *, alone: bool) -> dict[str, float]:
        """The means since the last call. The names of a lone phase stand without its name."""
        if self.sums is None:
            return {}
        *sums, taken, steps = self.sums.tolist()
        if not steps:
            return {}
        self.sums.zero_()
        means = [total / taken if taken else float("nan") for total in sums]
        figures = dict(zip((*self.names, "gradient_norm"), means, strict=True))
        figures["skipped"] = steps - taken
        if alone:
            return figures
        own = ("loss", "gradient_norm", "skipped")
        return {f"{k}/{self.phase.name}" if k in own else k: v for k, v in figures.items()}


def cut(batch: Batch, pieces: int) -> Iterator[Batch]:
    """The batch in equal pieces."""
    size = len(batch.x) // pieces
    for start in range(0, size * pieces, size):
        x, y, index = (None if t is None else t[start : start + size] for t in batch)
        assert x is not None
        yield Batch(x, y, index)


def check_memory_savers(model: VAE, config: Resolved) -> None:
    """Raises OptionError where ``accumulate`` or ``recompute`` would change what is learned."""
    if config.accumulate > 1 and not model.objective.per_example:
        raise OptionError(
            f"accumulate={config.accumulate} cannot be used with this objective, whose loss is "
            f"one of the whole batch, not a mean over its examples: leave it out"
        )
    normed = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if config.recompute and normed:
        raise OptionError(
            "recompute=True would count each batch twice in the running means of batch "
            "normalisation, which this model has: leave it out, or take norm='group'"
        )


def score_function(phase: Phase) -> Callable[[VAE, Batch, Weights], Scored]:
    """What is compiled: the phase's loss, reduced, with its figures in one tensor."""

    def score(model: VAE, batch: Batch, weights: Weights) -> Scored:
        terms = phase.loss(model, batch, weights)
        loss = reduce(terms.loss)
        figures = {"loss": loss, **{name: reduce(value) for name, value in terms.logs.items()}}
        values = torch.stack([value.detach().float() for value in figures.values()])
        return loss, values, tuple(figures), terms.state

    # torch counts recompilations by code object, and gives up after a few: one for each model.
    score.__code__ = score.__code__.replace()
    return score


def compiled(score: Callable[..., Result], name: str) -> Callable[..., Result]:
    """``score`` under torch.compile, or as it is, with a logged reason, if that fails."""
    # fallback_random: the numbers drawn are those of eager mode, so mode never changes a result.
    fast = torch.compile(score, fullgraph=True, dynamic=False, options={"fallback_random": True})
    chosen: list[Callable[..., Result]] = []

    def run(model: VAE, batch: Batch, weights: Weights) -> Result:
        if chosen:
            return chosen[0](model, batch, weights)
        try:
            # Lets autograd.grad be a part of what is compiled.
            with torch._dynamo.config.patch(trace_autograd_ops=True):
                result = fast(model, batch, weights)
        except Exception as error:  # whatever the compiler raises
            reason = " ".join(str(error).split())[:500]
            logger.warning("phase %r runs eagerly, it cannot be compiled: %s", name, reason)
            chosen.append(score)
            return score(model, batch, weights)
        chosen.append(fast)
        return result

    return run

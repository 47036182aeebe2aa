"""One training step: what every variant shares, on every device.

    weights from schedules
    for each phase: batch -> Trace -> Terms -> gradient of the phase's own parameters -> update
    model.after_step(state)

Nothing here waits for the device: figures stay there until they are asked for, and a step whose
gradients are not finite is skipped there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from vaezoo.batch import Batch
from vaezoo.errors import OptionError
from vaezoo.model import VAE
from vaezoo.objectives import Phase, Weights
from vaezoo.training.average import Average
from vaezoo.training.config import Resolved
from vaezoo.training.gradient import (
    Found,
    Scored,
    compiled,
    found,
    gradient_function,
    score_function,
)
from vaezoo.training.optimizer import make_optimizer
from vaezoo.training.rates import learning_rate


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
        # In pieces, forward and backward are apart; as one function, all would be kept between
        # them that is to be recomputed.
        self.find: Callable[[VAE, Batch, Weights], Found] = self._apart
        self.score = score_function(phase)
        compiles = phase.compile and config.execution in ("compiled", "captured")
        if self.pieces == 1 and not config.recompute:
            gradient = gradient_function(phase, config.clip_norm)
            self.find = compiled(gradient, phase.name) if compiles else gradient
        elif compiles:
            self.score = compiled(self.score, phase.name)

    def __call__(
        self, model: VAE, batch: Batch, weights: Weights, rate: Tensor
    ) -> dict[str, Tensor]:
        update = self.find(model, batch, weights)
        self.finite, self.names = update.finite, update.names
        for parameter, gradient in zip(self.parameters, update.gradients, strict=True):
            parameter.grad = gradient
        # A fused optimizer leaves everything as it is where found_inf is 1.
        self.optimizer.found_inf = (~update.finite).float()
        self.optimizer.rate.copy_(rate * self.phase.rate)
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        if self.sums is None:
            self.sums = torch.zeros_like(update.row)
        self.sums += update.row  # where it lies: a captured step always adds there
        return update.state

    def _apart(self, model: VAE, batch: Batch, weights: Weights) -> Found:
        """The gradient of the batch's mean loss, and its figures, from a piece at a time."""
        rows: list[Tensor] = []
        for piece in cut(batch, self.pieces):
            scored = self.score(model, piece, weights)
            if self.pieces > 1 and scored.state:
                raise OptionError(
                    f"accumulate={self.pieces} cannot be used with this model, which learns from "
                    f"whole batches ({', '.join(scored.state)}): leave it out"
                )
            (scored.loss / self.pieces).backward(inputs=self.parameters)  # type: ignore[no-untyped-call]
            rows.append(scored.figures)
        state = {name: value.detach() for name, value in scored.state.items()}
        gradients = [parameter.grad for parameter in self.parameters]
        whole = Scored(scored.loss, torch.stack(rows).mean(0), scored.names, state)
        return found(gradients, whole, self.clip_norm)

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

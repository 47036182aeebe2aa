"""What went wrong in training without an error, and what to try: looked for when it has ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from vaezoo.batch import Batch
from vaezoo.data import Binarization, Data, Source
from vaezoo.evaluation.latents import SiteFigures, site_figures
from vaezoo.inference import chunks
from vaezoo.model import VAE
from vaezoo.shown import examples

COLLAPSED = 0.1  # nats; the mutual information of x and z is no more than the KL
EXAMPLES, BATCH = 1000, 100
MANY, SPARE = 100, 0.1  # of many dimensions, as a spatial code has, some are always to spare
NEARLY_ALL = 0.9  # of the steps between two records
ENOUGH_STEPS = 500  # with fewer, an encoder may not have begun to say anything


def diagnose(
    model: VAE, data: Data, binarization: Binarization, records: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Warnings, each with what to try. records: of the whole run; the model is the trained one."""
    step = max((record["step"] for record in records), default=0)
    training = [record for record in records if record["split"] == "train"]
    source = data.train if data.validation is None else data.validation
    return [
        *(skipped_steps(training, step) or lost_validations(records)),  # mostly one cause
        *unused_latents(model, source, binarization, step),
    ]


def skipped_steps(records: Iterable[Mapping[str, Any]], steps: int) -> list[str]:
    """A warning if gradients were not finite. records: of training."""
    totals: dict[str, float] = {}  # a phase each
    for record in records:
        for name in record:
            if name.split("/")[0] == "skipped":
                totals[name] = totals.get(name, 0.0) + (record[name] or 0.0)
    skipped = max(totals.values(), default=0.0)
    if not skipped:
        return []
    return [
        f"{skipped:,.0f} of {steps:,} training steps were skipped because their gradients were "
        f"not finite: lower learning_rate, or set clip_norm"
    ]


def skipped_in_a_row(records: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many steps each phase has skipped up to now without taking one, or hardly one; "" is a
    lone phase. records: of training."""
    names = {name for record in records for name in record if name.split("/")[0] == "skipped"}
    return {name.partition("/")[2]: _skipped_last(records, name) for name in names}


def _skipped_last(records: Sequence[Mapping[str, Any]], name: str) -> int:
    norm, total = name.replace("skipped", "gradient_norm", 1), 0
    starts = [0, *(record["step"] for record in records)]
    for record, start in zip(reversed(records), reversed(starts[:-1]), strict=True):
        skipped = int(record.get(name) or 0)
        value = record.get(norm)  # the mean over the steps taken, so not finite without any
        none = value is None or not math.isfinite(value)
        if not none and skipped < NEARLY_ALL * (record["step"] - start):
            break
        total += skipped
    return total


@torch.no_grad()
def why_not_finite(model: VAE, batch: Batch) -> str:
    """What of a training batch's figures is not finite, in words."""
    trace = model(batch.x, batch.y, model.objective.samples)
    values = {"x": trace.x, "log p(x|z)": trace.log_px}
    values |= {f"the KL of {site.name}": site.kl for site in trace.sites}
    found = [name for name, value in values.items() if not value.isfinite().all()]
    if found:
        return f"of a batch, {' and '.join(found)} {'is' if len(found) == 1 else 'are'} not finite"
    return "log p(x|z) and the KL are, so look at the rest of the loss, and at sqrt or log at 0"


def lost_validations(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """A warning if validation gave figures that are not finite, of weights that themselves are."""
    losses = [record.get("loss") for record in records if record["split"] == "validation"]
    lost = sum(loss is None or not math.isfinite(loss) for loss in losses)  # None: read from JSON
    if not lost:
        return []
    return [
        f"{lost} of {len(losses)} validations gave a loss that is not finite, so their weights "
        f"were passed over: lower learning_rate, or set clip_norm; look for examples far from "
        f"the others"
    ]


def unused_latents(model: VAE, source: Source, binarization: Binarization, step: int) -> list[str]:
    """Warnings of posterior collapse and of latent dimensions that hold nothing about x.

    None where they would say nothing: after a few steps, while a schedule of the objective still
    moves (a warm-up that has not ended), and for models whose loss is no likelihood bound.
    """
    if model.bound == "none" or step < ENOUGH_STEPS or _moving(model, step):
        return []
    uses = latent_use(model, source, binarization)
    weights = "lower beta, lengthen its warm-up (warmup_steps), or use free bits"
    found = []
    for use in uses:
        of = "" if len(uses) == 1 else f" of {use.name}"
        kl = use.kl.sum().item()
        if kl < COLLAPSED:
            found.append(
                f"the posterior{of} has collapsed: its KL is {kl:.2g} nats, so z says next "
                f"to nothing about x: {weights}, or take a weaker decoder"
            )
        elif len(use.inactive) > (use.size * SPARE if use.size >= MANY else 0):
            dims = ", ".join(map(str, use.inactive[:10]))
            be = "is" if len(use.inactive) == 1 else "are"
            more = f" and {len(use.inactive) - 10} more" if len(use.inactive) > 10 else ""
            found.append(
                f"{len(use.inactive)} of {use.size} latent dimensions{of} {be} inactive, their "
                f"posterior means hardly depend on x ({dims}{more}): a smaller latent_dim would "
                f"do as well; to have them used, {weights}"
            )
    return found


def latent_use(model: VAE, source: Source, binarization: Binarization) -> tuple[SiteFigures, ...]:
    """The KL of each site and its active dimensions, over the first 1,000 examples at most."""
    x, y = examples(source, range(min(EXAMPLES, len(source))), binarization)
    x = x.to(model.device, model.dtype)
    y = None if y is None else y.to(model.device)
    return site_figures(model, (Batch(*piece) for piece in chunks(x, y, BATCH)))


def _moving(model: VAE, step: int) -> bool:
    """Whether a weight of the objective still changes."""
    now, then = (model.objective.weights(torch.tensor(s)) for s in (step - 1, step))
    return any(not torch.equal(now[name], then[name]) for name in now)

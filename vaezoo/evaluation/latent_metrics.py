"""The metric ``latents``: the KL of every site and dimension, and how many units are in use."""

from __future__ import annotations

import math
from typing import Any

from vaezoo.errors import DataError
from vaezoo.evaluation.evaluation import Evaluation
from vaezoo.evaluation.latents import site_figures
from vaezoo.options import NoOptions


def latents(options: NoOptions) -> Any:
    """The recipe of the metric ``latents``.

    For each site its KL in nats, ``kl_NAME``; ``kl_by_dimension``, lists by site, of one number
    where it is no sum over dimensions; and of ``latent_dim`` units how many are active: their
    posterior mean has a variance over x above 0.01 (Burda et al. 2016, section 5.2), as a share of
    the prior's. NaN where a posterior has no mean. Raises DataError without a site.
    """

    def compute(evaluation: Evaluation) -> dict[str, Any]:
        sites = site_figures(evaluation.model, evaluation.batches(), seed=evaluation.seed)
        if not sites:
            raise DataError("this model has no latents with a q(z|x) and a p(z) to compare")
        active = {s.name: math.nan if s.active is None else int(s.active.sum()) for s in sites}
        figures: dict[str, Any] = {
            "active_units": sum(active.values()),
            "latent_dim": sum(site.size for site in sites),
        }
        for site in sites:
            figures[f"kl_{site.name}"] = site.kl.sum().item()
            if len(sites) > 1:
                figures[f"active_units_{site.name}"] = active[site.name]
        figures["kl_by_dimension"] = {site.name: site.kl.tolist() for site in sites}
        return figures

    return compute

"""What ``fit`` returns: the records of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """The records of training and validation, in order, as in ``metrics.jsonl``.

    Each is a dict with split ("train" or "validation"), step, epoch, and figures in nats: loss,
    elbo, reconstruction (E_q[log p(x|z)]), kl, and more.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    """The validation record of the weights that the model was left with."""
    warnings: list[str] = field(default_factory=list)
    """What did not go as it should, and what to try."""

    def column(self, name: str, split: str = "train") -> list[float]:
        """One figure over the run."""
        return [r[name] for r in self.records if r["split"] == split and name in r]

    def last(self, split: str = "train") -> dict[str, Any] | None:
        """The last record of a split."""
        return next((r for r in reversed(self.records) if r["split"] == split), None)

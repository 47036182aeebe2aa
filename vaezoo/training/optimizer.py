"""Fused Adam and AdamW that wait for nothing: rate and skipped steps are tensors on the device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from vaezoo.training.config import Resolved


class FusedAdam(torch.optim.Adam):
    """torch's fused Adam or AdamW, with little Python around its one kernel.

    ``found_inf``, 1.0 or 0.0, is set before each step: where it is 1, all is left as it is. At
    each step torch's own looks up, checks and groups its parameters, which for a small network
    takes about as long as the update does.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, decoupled_weight_decay: bool, **options: Any
    ) -> None:
        super().__init__(
            parameters, fused=True, decoupled_weight_decay=decoupled_weight_decay, **options
        )
        self.grad_scale = None
        self.found_inf = torch.zeros(())
        self.rate: Tensor = self.param_groups[0]["lr"]
        self._kernel = torch._fused_adamw_ if decoupled_weight_decay else torch._fused_adam_
        self._alike = len({(p.dtype, p.device) for p in self.param_groups[0]["params"]}) == 1
        for parameter in self.param_groups[0]["params"]:  # at once, for what restores them
            self.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the parameters that have a gradient."""
        if not self._alike:
            super().step()
            return
        (group,) = self.param_groups
        updated = [p for p in group["params"] if p.grad is not None]
        states = [self.state[p] for p in updated]
        steps = [state["step"] for state in states]
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1 - self.found_inf)
        self._kernel(
            updated,
            [p.grad for p in updated],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
            grad_scale=None,
            found_inf=self.found_inf,
        )


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: Resolved, device: torch.device
) -> FusedAdam:
    """Adam or AdamW, with its learning rate as a tensor on the device."""
    rate: Any = torch.tensor(config.learning_rate, device=device)
    return FusedAdam(
        parameters,
        decoupled_weight_decay=config.optimizer == "adamw",
        lr=rate,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
    )

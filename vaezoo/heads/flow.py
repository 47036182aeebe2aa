"""A factorised normal, bent by a normalizing flow: a q(z|x) whose latents are dependent."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.errors import OptionError
from vaezoo.flows import Flow, Transformed
from vaezoo.heads.base import Head
from vaezoo.heads.gaussian import bounded, normal


class FlowHead(Head):
    """z = T(u; h), u ~ N(μ, diag σ²), with μ, log σ and the context h from the network.

    flow: T, over vectors, with a context of ``context_dim`` values. As the flow starts as the
    identity, z starts as u. Raises OptionError for an event that is no vector.
    """

    def __init__(self, event_shape: tuple[int, ...], flow: Flow, context_dim: int) -> None:
        super().__init__()
        if len(event_shape) != 1:
            raise OptionError(
                f"a flow posterior is over vectors, and latent_shape is {event_shape}: give "
                f"latent_dim"
            )
        self.event_shape = event_shape
        self.input_shape = (2 * event_shape[0] + context_dim,)
        self.flow = flow
        self.context_dim = context_dim

    def forward(self, parameters: Tensor) -> Distribution:
        dim = self.event_shape[0]
        mean, log_sigma, context = torch.split(parameters, [dim, dim, self.context_dim], -1)
        base = normal(mean, bounded(log_sigma).exp(), 1)
        push, pull = (partial(f, context=context) for f in (self.flow, self.flow.inverse))
        return Transformed(base, push, pull)

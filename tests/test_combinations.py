"""Every network goes together with every prior, in plain and conditional models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import vaezoo
from vaezoo.registry import lookup
from vaezoo.registry.specs import NetworkSpec, PriorSpec

NARROW: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [9]},
    "conv": {"channels": [4], "hidden": [9]},
    "resnet": {"channels": [4]},
}
SMALL: dict[str, dict[str, Any]] = {"vampprior": {"components": 6}, "flow": {"hidden": 9}}
DISCRETE = {"uniform-codes", "autoregressive"}  # priors of other latents
CODES = {"flat": {"latent_dim": 5}, "spatial": {"latent_shape": (2, 3, 5)}}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("variant", ["vae", "cvae"])
@pytest.mark.parametrize("prior", sorted({*lookup.names(PriorSpec)} - DISCRETE))
@pytest.mark.parametrize("network", lookup.names(NetworkSpec))
def test_network_prior_and_variant(network: str, prior: str, variant: str, code: str) -> None:
    if lookup.find(PriorSpec, prior).missing():
        pytest.skip("needs a package")
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "input_shape": (1, 12, 20),
        "network": {"name": network, **NARROW.get(network, {})},
        "prior": {"name": prior, **SMALL.get(prior, {})},
        "offered": {"num_classes": 3},
        **CODES[code],
    }
    if (variant, prior) == ("cvae", "vampprior"):
        with pytest.raises(vaezoo.OptionError, match="conditioned on labels"):
            vaezoo.create(variant, **options)
        return
    model = vaezoo.create(variant, **options)
    x, y = torch.rand(4, 1, 12, 20), torch.tensor([2, 0, 1, 2])
    trace = model(x, y if model.num_classes else None, samples=2)
    assert trace.kl.shape == (2, 4)
    (-trace.elbo.mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert model.num_classes == (3 if "class" in prior or variant == "cvae" else None)
    assert model.sample(4, y if model.num_classes else None).shape == x.shape

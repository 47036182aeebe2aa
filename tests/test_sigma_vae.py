"""sigma-vae: the VAE that calibrates the sigma of its Gaussian likelihood."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from training_helpers import SHAPE, images, small

import vaezoo
from vaezoo.heads import OptimalSigma, SharedSigma
from vaezoo.zoo import from_config

B = 6


def gradients(model: vaezoo.VAE, x: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(7)
    weights = model.objective.weights(torch.tensor(0))
    model.objective.score(model(x), weights).loss.mean().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("sigma", ["optimal", "learned"])
def test_it_is_the_vae_with_that_likelihood_bit_for_bit(sigma: str) -> None:
    ours = small("sigma-vae", sigma=sigma)
    vae = small("vae", likelihood={"name": "gaussian", "sigma": sigma})
    vae.load_state_dict(ours.state_dict())
    found = [gradients(model, images(B)) for model in (ours, vae)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[1])


def test_its_gradient_is_that_of_a_beta_vae_whose_beta_is_sigma_squared() -> None:
    """min -log p(x|z) + KL at sigma* is min ½ Σ (x - mu)² + sigma*² KL: the weight is found."""
    ours = small("sigma-vae").double()
    x = images(B).double()
    torch.manual_seed(7)
    variance = (x - ours(x).px.mean).square().mean().item()
    fixed = {"name": "gaussian", "sigma": "fixed", "value": 1.0}
    beta_vae = small("beta-vae", beta=variance, likelihood=fixed).double()
    tensors = {k: v for k, v in ours.state_dict().items() if not k.startswith("decoder.head")}
    beta_vae.load_state_dict(tensors, strict=False)
    expected = gradients(beta_vae, x)
    for name, gradient in gradients(ours, x).items():
        assert torch.allclose(gradient, expected[name] / variance, rtol=1e-4, atol=1e-6), name


def test_a_learned_sigma_is_at_its_optimum_where_the_optimal_one_is() -> None:
    model = small("sigma-vae", sigma="learned").double()
    x = images(B).double()
    torch.manual_seed(7)
    variance = (x - model(x).px.mean).square().mean()
    with torch.no_grad():
        model.decoder.head.log_sigma.copy_(variance.log() / 2)
    assert gradients(model, x)["decoder.head.log_sigma"].abs() < 1e-9


@pytest.mark.parametrize(("sigma", "head"), [("optimal", OptimalSigma), ("learned", SharedSigma)])
def test_the_option_chooses_the_head_and_survives_the_config(sigma: str, head: type) -> None:
    model = small("sigma-vae", sigma=sigma)
    for made in (model, from_config(model.config)):
        assert isinstance(made.decoder.head, head)
        assert isinstance(made.config.parts["likelihood"], dict)
    assert model.config.parts["likelihood"]["sigma"] == sigma


class OwnDecoder(vaezoo.Decoder):
    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return Independent(Normal(z[..., :1, None, None].expand(*z.shape[:-1], *SHAPE), 1.0), 3)


@pytest.mark.parametrize(
    "chosen",
    [
        {"likelihood": "bernoulli"},
        {"likelihood": {"name": "gaussian", "sigma": "fixed"}},
        {"likelihood": {"name": "gaussian", "sigma": "predicted"}},
        {"likelihood": {"name": "gaussian", "sigma": "learned"}, "sigma": "optimal"},
        {"likelihood": {"name": "gaussian", "sigma": "optimal"}, "sigma": "learned"},
        {"likelihood": {"name": "gaussian", "sigma": "fixed"}, "sigma": "learned"},
        {"decoder": OwnDecoder()},
    ],
)
def test_another_likelihood_is_refused_with_the_reason(chosen: dict[str, Any]) -> None:
    with pytest.raises(vaezoo.OptionError, match=r"calibrates the sigma.*create 'vae'"):
        vaezoo.create("sigma-vae", input_shape=SHAPE, **chosen)


def test_the_same_likelihood_may_be_named() -> None:
    start = {"name": "gaussian", "sigma": "learned", "value": 0.1}
    model = vaezoo.create("sigma-vae", sigma="learned", likelihood=start)
    assert isinstance(model.decoder.head.log_sigma, nn.Parameter)
    assert model.decoder.head.log_sigma.exp().item() == pytest.approx(0.1)

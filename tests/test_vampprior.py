"""The VampPrior, against brute force; its encoder is used, and neither owned nor saved."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributions import Distribution

import vaezoo
from vaezoo.batch import Batch
from vaezoo.heads.gaussian import normal
from vaezoo.priors import VampPrior

K, B, D = 4, 3, 5
SHAPE = (1, 6, 7)


def a_model(name: str = "vamp-vae", components: int = K, **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    prior = {"name": "vampprior", "components": components}
    options = {"latent_dim": D, **options}
    network = options.pop("network", {"name": "mlp", "hidden": [9]})
    return vaezoo.create(name, input_shape=SHAPE, prior=prior, network=network, **options)


def examples(n: int = B) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1)).round()


def test_the_density_is_the_mean_of_the_posteriors() -> None:
    model = a_model().double()
    z = torch.randn(2, B, D).double()
    q = [model.encoder(u[None]) for u in model.prior.pseudo_inputs]
    brute = torch.stack([each.log_prob(z[..., None, :])[..., 0].exp() for each in q]).mean(0)
    assert torch.allclose(model.prior().log_prob(z), brute.log(), atol=1e-10)
    assert torch.allclose(model.prior().mean, torch.cat([e.mean for e in q]).mean(0))


def test_one_component_is_one_gaussian() -> None:
    model = a_model(components=1).double()
    q = model.encoder(model.prior.pseudo_inputs)
    gaussian = normal(q.base_dist.loc[0], q.base_dist.scale[0], 1)
    z = torch.randn(2, B, D).double()
    assert torch.allclose(model.prior().log_prob(z), gaussian.log_prob(z), atol=1e-12)
    drawn = model.prior().sample((20_000,))
    error = drawn.std(0) / len(drawn) ** 0.5
    assert ((drawn.mean(0) - gaussian.mean).abs() < 5 * error).all()


def test_samples_have_the_mixtures_mean() -> None:
    model = a_model(components=3)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(4)  # components apart
    p = model.prior()
    drawn = p.sample((20_000,))
    assert drawn.shape == (20_000, D)
    assert ((drawn.mean(0) - p.mean).abs() < 5 * drawn.std(0) / len(drawn) ** 0.5).all()


def test_the_gradient_reaches_pseudo_inputs_and_encoder() -> None:
    model = a_model()
    model.prior().log_prob(torch.randn(B, D)).sum().backward()
    assert model.prior.inputs.grad.abs().amax((1, 2, 3)).min() > 0
    assert all(p.grad.abs().max() > 0 for p in model.encoder.parameters())


def test_the_encoder_is_saved_once_moved_once_and_copied_with_its_model(tmp_path: Path) -> None:
    model = a_model()
    keys = set(model.state_dict())
    assert {k for k in keys if k.startswith("prior.")} == {
        "prior.inputs",
        "prior.low",
        "prior.high",
    }
    model.prepare(Batch(examples() * 7 - 2), 100)  # a range of its own, which is saved
    vaezoo.save(model, tmp_path / "model")
    assert set(load_file(tmp_path / "model" / "model.safetensors")) == keys
    loaded = vaezoo.load(tmp_path / "model")
    z = torch.randn(B, D)
    assert torch.equal(loaded.prior().log_prob(z), model.eval().prior().log_prob(z))
    assert (loaded.prior.low.item(), loaded.prior.high.item()) == (-2.0, 5.0)
    twin = copy.deepcopy(model).double()
    assert twin.prior().mean.dtype == torch.float64
    assert twin.prior._encoder.module is twin.encoder
    assert model.prior().mean.dtype == torch.float32


@pytest.mark.parametrize("start", ["data", "noise"])
@pytest.mark.parametrize("components", [2, 7])
def test_pseudo_inputs_start_from_examples_in_the_range_of_the_data(
    start: str, components: int
) -> None:
    prior = {"name": "vampprior", "components": components, "start": start}
    model = vaezoo.create("vae", input_shape=(6,), latent_dim=2, prior=prior)
    x = 10 * torch.randn(B, 6)
    model.prepare(Batch(x), 100)
    u = model.prior.pseudo_inputs
    assert (u >= x.min()).all()
    assert (u <= x.max()).all()
    taken = (u[:, None] == x).all(-1).any(1)
    assert taken.sum() >= (min(components, B) if start == "data" else 0)
    assert len({*map(tuple, u.tolist())}) == components  # no two are one, which would stay so
    with torch.no_grad():
        model.prior.inputs.add_(1e3)
    assert (model.prior.pseudo_inputs == x.max()).all()


@pytest.mark.parametrize("name", ["beta-vae", "iwae", "iaf-vae", "full-covariance-vae"])
def test_other_variants_take_it(name: str) -> None:
    trace = a_model(name)(examples(), samples=2)
    assert trace.kl.shape == (2, B)
    assert trace.sites[0].kl_kind == "monte-carlo"
    model = a_model(name)
    assert model.log_likelihood(examples(), samples=3).isfinite().all()
    assert model.sample(3).shape == (3, *SHAPE)


def test_codes_may_be_spatial_and_the_encoder_ones_own() -> None:
    options = {"latent_dim": None, "latent_shape": (2, 3, 4)}
    model = a_model(network={"name": "resnet", "channels": [4]}, **options)
    assert model(examples(), samples=2).kl.shape == (2, B)

    class Own(vaezoo.Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(math.prod(SHAPE), D)

        def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
            mean = self.layer(x.flatten(1))
            return normal(mean, torch.ones_like(mean), 1)

    prior = VampPrior((D,), SHAPE, 3)
    decoder = vaezoo.create("vae", input_shape=SHAPE, latent_dim=D).decoder
    for model in (
        vaezoo.create("vae", input_shape=SHAPE, latent_dim=D, encoder=Own(), prior="vampprior"),
        vaezoo.VAE(Own(), decoder, prior),
    ):
        assert model(examples(), samples=2).kl.shape == (2, B)


def test_refusals_say_why() -> None:
    with pytest.raises(vaezoo.OptionError, match="conditioned on labels"):
        a_model("cvae", num_classes=3)
    with pytest.raises(vaezoo.OptionError, match="attach"):
        VampPrior((D,), SHAPE, 3)()
    decoder = vaezoo.create("vae", input_shape=SHAPE, latent_dim=D).decoder
    other = vaezoo.create("vae", input_shape=SHAPE, latent_dim=D + 1).encoder
    model = vaezoo.VAE(other, decoder, VampPrior((D,), SHAPE, 3))
    with pytest.raises(vaezoo.OptionError, match="one group of latents"):
        model(examples())
    with pytest.raises(vaezoo.OptionError, match="components"):
        a_model(components=0)


def test_the_warm_up_starts_without_the_kl() -> None:
    model = a_model(warmup_steps=10)
    weights = [model.objective.weights(torch.tensor(s))["beta"].item() for s in (0, 5, 10, 99)]
    assert weights == [0.0, 0.5, 1.0, 1.0]

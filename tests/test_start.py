"""Where a decoder's output starts: at the mean of the data, whatever z."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vaezoo
from vaezoo.batch import Batch
from vaezoo.parts import mean_of

IMAGES: tuple[Any, ...] = (
    "mlp",
    {"name": "mlp", "hidden": [8, 8], "gated": True},
    "conv",
    {"name": "conv", "patch": 4},
    {"name": "resnet", "channels": [4, 8]},
    {"name": "resnet", "channels": [4, 8], "patch": 4},
)
LIKELIHOODS: tuple[Any, ...] = (
    "bernoulli",
    "laplace",
    "discretized-logistic",
    {"name": "discretized-logistic", "scale": "fixed", "value": 0.02},
    {"name": "gaussian", "sigma": "learned"},
    {"name": "gaussian", "sigma": "predicted"},
    {"name": "gaussian", "sigma": "optimal"},
)


def started(x: Tensor, **options: Any) -> tuple[vaezoo.VAE, Tensor, Tensor]:
    """A model prepared with x, and its mean of p(x|z), before and after.

    Its last layer sees nothing but zeros, as it were, so the bias is all that it puts out.
    """
    torch.manual_seed(0)
    model = vaezoo.create("vae", input_shape=tuple(x.shape[1:]), latent_dim=2, **options).eval()
    z = torch.randn(1, 2)
    with torch.no_grad():
        last = [m for m in model.decoder.modules() if isinstance(m, LAYERS)][-1]
        nn.init.zeros_(last.weight)
        before = model.decoder(z).mean[0]
        model.prepare(Batch(x), len(x))
        return model, before, model.decoder(z).mean[0]


LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@pytest.mark.parametrize("network", IMAGES, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=str)
def test_a_network_puts_out_the_mean_of_each_channel(network: Any, likelihood: Any) -> None:
    x = torch.rand(500, 2, 9, 8) * torch.tensor([0.1, 0.8])[:, None, None]
    if str(likelihood).find("logistic") > 0:
        x = (x * 255).round() / 255
    _, before, after = started(x, network=network, likelihood=likelihood)
    expected = x.mean((0, 2, 3))
    # Of pixels' own means there are 500 examples; a wide logistic is cut off at 0 and 1.
    wide = likelihood == "discretized-logistic"
    torch.testing.assert_close(after.mean((1, 2)), expected, atol=0.08 if wide else 0.01, rtol=0)
    assert (before.mean((1, 2)) - expected).abs().max() > 0.1


def test_a_dense_network_starts_at_the_mean_image() -> None:
    x = torch.bernoulli(torch.linspace(0.1, 0.9, 12).expand(4000, 12)).reshape(4000, 1, 3, 4)
    _, _, after = started(x, network="mlp")
    torch.testing.assert_close(after, x.mean(0), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "likelihood", ["negative-binomial", "zero-inflated-negative-binomial"], ids=str
)
def test_counts_start_at_each_genes_mean(likelihood: str) -> None:
    rates = torch.tensor([0.0, 0.5, 20.0, 3000.0])
    x = torch.poisson(rates.expand(300, 4))
    model, _, _ = started(x, network="mlp", likelihood=likelihood)
    with torch.no_grad():
        px = model.decoder(torch.zeros(1, 2)).base_dist
    log_mean = getattr(px, "counts", px).log_mean[0]
    torch.testing.assert_close(log_mean.exp(), x.mean(0).clamp(min=0.01))


def test_a_small_batch_is_not_taken_for_all_of_the_data() -> None:
    x = torch.zeros(2, 1, 2, 2)
    x[:, :, 0] = 1.0  # half of the pixels, in both
    torch.testing.assert_close(
        mean_of(x, each_pixel=True), torch.tensor([[[0.75] * 2, [0.25] * 2]])
    )
    torch.testing.assert_close(mean_of(x, each_pixel=False), torch.full((1, 2, 2), 0.5))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_image_starts_with_finite_logits(value: float) -> None:
    model, _, after = started(torch.full((8, 1, 4, 4), value), network="mlp")
    assert all(p.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(after, torch.full((1, 4, 4), abs(value - 1e-3)))


def test_fit_does_so_once_and_a_trained_models_bias_stays_as_it_is(tmp_path: Path) -> None:
    x = torch.bernoulli(torch.full((64, 1, 6, 6), 0.05))
    model = vaezoo.create("vae", input_shape=(1, 6, 6), latent_dim=2, network="mlp")

    def bias() -> Tensor:
        last = [m for m in model.decoder.modules() if isinstance(m, nn.Linear)][-1]
        return last.bias.detach().clone()

    options: Mapping[str, Any] = {"learning_rate": 1e-9, "progress": False, "batch_size": 32}
    vaezoo.fit(model, x, steps=1, **options)
    first = bias()
    assert first.mean() < -2
    vaezoo.fit(model, 1 - x, steps=1, **options)
    torch.testing.assert_close(bias(), first)

    fresh = vaezoo.create("vae", input_shape=(1, 6, 6), latent_dim=2, network="mlp")
    fresh.prepared = True  # as it was made, please
    model = fresh
    before = bias()
    vaezoo.fit(model, x, steps=1, **options)
    torch.testing.assert_close(bias(), before)


def test_networks_and_heads_that_do_not_say_how_are_left_alone() -> None:
    x = torch.rand(8, 1, 4, 4)
    own = nn.Sequential(nn.Linear(2, 16))
    model = vaezoo.create(
        "vae", input_shape=(1, 4, 4), latent_dim=2, network="mlp", decoder=vaezoo.wrap(own)
    )
    bias = own[0].bias.detach().clone()
    model.prepare(Batch(x), 8)
    torch.testing.assert_close(own[0].bias.detach(), bias)
    silent = vaezoo.create(
        "vae",
        input_shape=(1, 4, 4),
        latent_dim=2,
        network="mlp",
        likelihood="continuous-bernoulli",
    )
    before = {name: p.clone() for name, p in silent.named_parameters()}
    silent.prepare(Batch(x), 8)
    for name, p in silent.named_parameters():
        torch.testing.assert_close(p, before[name])


@pytest.mark.parametrize("name", ["vae", "gumbel-vae"])
def test_short_runs_are_worth_more(name: str) -> None:
    """The first that a code learns else is how dark the images are."""
    torch.manual_seed(0)
    which = torch.randint(3, (600,))
    patterns = (torch.rand(3, 1, 12, 12) < 0.1).float()
    x = torch.bernoulli(patterns[which] * 0.8 + 0.02)
    elbos = []
    for prepared in (True, False):
        torch.manual_seed(1)
        model = vaezoo.create(name, input_shape=(1, 12, 12), latent_dim=3, network="mlp")
        model.prepared = prepared
        vaezoo.fit(model, x, steps=40, batch_size=32, seed=0, progress=False)
        elbos.append(vaezoo.evaluate(model, x)["elbo"])
    assert elbos[1] > elbos[0] + 1

"""Codes of any shape: what users do with a model, does with them too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import vaezoo
from vaezoo import pictures
from vaezoo.data import as_data
from vaezoo.report import draw, most_active

SHAPE = (2, 3, 5)
NETWORKS: list[Any] = ["mlp", "conv", {"name": "resnet", "channels": [4]}]


def make(network: Any = NETWORKS[-1], variant: str = "vae", **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    options = {"input_shape": (1, 12, 20), "latent_shape": SHAPE, "network": network, **options}
    return vaezoo.create(variant, **options)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_part_has_the_shape(network: Any) -> None:
    model = make(network)
    x = torch.rand(4, 1, 12, 20)
    trace = model(x, samples=3)
    (site,) = trace.sites
    assert site.z.shape == (3, 4, *SHAPE)
    assert site.q.event_shape == site.p.event_shape == SHAPE
    assert trace.log_w.shape == (3, 4)
    assert site.kl_kind == "analytic"
    assert model.latent_shape == SHAPE
    assert model.latent_dim == 30


def test_the_kl_is_summed_over_all_of_the_code() -> None:
    (site,) = make()(torch.rand(4, 1, 12, 20)).sites
    mean, variance = site.q.mean.flatten(1), site.q.variance.flatten(1)
    expected = 0.5 * (mean.square() + variance - 1 - variance.log()).sum(1)
    assert torch.allclose(site.kl[0], expected, atol=1e-5)


def test_methods_take_and_give_the_shape() -> None:
    model, x = make(), torch.rand(4, 1, 12, 20)
    assert model.embed(x).shape == (4, 30)
    assert torch.equal(model.embed(x), model.encode(x).mean.flatten(1))
    assert model.decode(torch.randn(7, 4, *SHAPE)).mean.shape == (7, 4, 1, 12, 20)
    assert model.interpolate(x, x.flip(0), 6).shape == (4, 6, 1, 12, 20)
    assert model.log_likelihood(x, samples=3).shape == (4,)
    with pytest.raises(vaezoo.DataError, match="2, 3, 5"):
        model.decode(torch.randn(7, 30))


def test_a_traversal_moves_one_number_of_the_flat_code() -> None:
    model, x = make(), torch.rand(1, 1, 12, 20)
    images = model.traverse(x, [0, 29], steps=3, limit=2.0)
    z = model.encode(x).mean
    z[0, 1, 2, 4] = 2.0
    assert torch.allclose(images[1, 2], model.decode(z).mean[0], atol=1e-6)
    with pytest.raises(vaezoo.DataError, match=r"0\.\.29"):
        model.traverse(x, [30])


def test_it_is_trained_saved_and_drawn(tmp_path: Path) -> None:
    x, y = torch.rand(60, 1, 12, 20), torch.arange(60) % 3
    model = make(variant="cvae", num_classes=3, prior="mixture")
    vaezoo.fit(model, (x, y), steps=3, batch_size=8, progress=False, out=tmp_path / "run")
    names = {path.stem for path in (tmp_path / "run" / "samples").iterdir()}
    assert names >= {"reconstructions", "samples", "traversals"}
    loaded = vaezoo.load(tmp_path / "run")
    assert loaded.config.shared["latent_shape"] == [*SHAPE]
    assert "latent_dim" not in loaded.config.shared
    assert torch.equal(loaded.embed(x[:4], y[:4]), model.embed(x[:4], y[:4]))
    assert torch.equal(loaded.sample(3, y[:3], seed=0), model.sample(3, y[:3], seed=0))


def test_pictures_and_the_most_active_dimensions_take_the_flat_code(tmp_path: Path) -> None:
    model, x = make(), torch.rand(20, 1, 12, 20)
    data = as_data(x)
    dims = most_active(model, data.train, "none")
    means = model.embed(data.train.examples(torch.arange(len(data.train)))[0])
    assert dims == means.var(0).argsort(descending=True)[:10].tolist()
    assert pictures.traversals(model, x, dims=[29]).size[0] > 0
    assert "traversals" in {path.stem for path in draw(model, data, tmp_path, binarization="none")}


def test_a_code_may_have_any_number_of_dimensions() -> None:
    model = make("mlp", input_shape=(7,), latent_shape=(4, 3))
    assert model.embed(torch.randn(5, 7)).shape == (5, 12)
    assert make("mlp", input_shape=(7,), latent_shape=(4,)).latent_dim == 4


def test_latent_dim_and_latent_shape_exclude_each_other() -> None:
    with pytest.raises(vaezoo.OptionError, match="latent_dim or latent_shape, not both"):
        make(latent_dim=3)


def test_a_latent_shape_that_nothing_uses_is_refused() -> None:
    flat = vaezoo.create("vae", input_shape=(7,), latent_dim=3)
    parts = {"encoder": flat.encoder, "decoder": flat.decoder, "prior": flat.prior}
    with pytest.raises(vaezoo.OptionError, match="makes no use of latent_shape"):
        vaezoo.create("vae", input_shape=(7,), latent_shape=(3,), **parts)


def test_a_variants_own_parts_may_ask_for_the_shape_or_the_number() -> None:
    from vaezoo.assembly import Parts, SharedOptions

    spatial = Parts("mine", SharedOptions(latent_shape=SHAPE), {})
    assert (spatial.latent_shape, spatial.latent_dim) == (SHAPE, 30)
    assert Parts("mine", SharedOptions(), {}).latent_shape == (16,)
    assert Parts("mine", SharedOptions(latent_dim=3), {}).latent_shape == (3,)


def test_figures_are_measured() -> None:
    figures = vaezoo.evaluate(make(), torch.rand(30, 1, 12, 20))
    assert figures["elbo"] == pytest.approx(figures["reconstruction"] - figures["kl"])

"""vq-vae: nearest codes, the codebook's two ways to learn, revival, and the losses' scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_helpers import images, make_step, small, train

import vaezoo
from vaezoo.codes import perplexity, usage
from vaezoo_plugins.vq_vae import VQVAE, Codebook, rows

N, C, L = 4, 2, 3


def made(**options: Any) -> VQVAE:
    """A model of L codes in a row, with a book of its outputs."""
    model = small("vq-vae", **{"codes": N, "code_dim": C, **options})
    assert isinstance(model, VQVAE)
    model.prepare(vaezoo.Batch(images()), 40)
    return model


def test_each_place_takes_the_code_nearest_to_it() -> None:
    model, x = made(), images(6)
    q = model.encode(x)
    assert q.mean.shape == (6, C, L)
    distance = torch.cdist(rows(q.output), model.encoder.book)
    assert torch.equal(q.index.flatten(), distance.argmin(1))
    assert torch.equal(rows(q.mean), model.encoder.book[q.index.flatten()])  # exactly
    assert torch.equal(model.encoder.lookup(q.index), q.mean)


def test_the_gradient_passes_to_the_encoders_output_as_it_is() -> None:
    model = made()
    q = model.encoder(images(6))
    q.output.retain_grad()
    z, direction = q.rsample((2,)), torch.randn(2, 6, C, L)
    (z * direction).sum().backward()
    assert torch.equal(q.output.grad, direction.sum(0))
    assert model.encoder.book.grad is None


def test_the_kl_is_what_the_prior_takes_to_write_the_codes_down() -> None:
    trace = made()(images(6), samples=5)
    (site,) = trace.sites
    assert torch.allclose(trace.kl, torch.full((5, 6), L * math.log(N)))
    assert site.kl_kind == "analytic"
    assert torch.allclose(trace.log_w, trace.elbo)  # q has one draw: no bound is tighter
    assert not site.log_q.any()


def terms(model: VQVAE, x: Tensor) -> tuple[vaezoo.Trace, vaezoo.Terms]:
    model.train()
    trace = model(x)
    return trace, model.objective.score(trace, model.objective.weights(torch.tensor(0)))


def test_the_loss_is_that_of_equation_3() -> None:
    model, x = made(codebook="gradient", commitment=0.7), images(6)
    trace, scored = terms(model, x)
    q = trace.sites[0].q
    squared = (rows(q.output) - model.encoder.book[q.index.flatten()]).square()
    squared = squared.reshape(6, -1).sum(1)
    expected = -trace.log_px[0] + L * math.log(N) + 1.7 * squared
    assert torch.allclose(scored.loss, expected, rtol=1e-5)
    assert {*trace.penalties} == {"codebook", "commitment"}
    encoder = [*model.encoder.inner.parameters()]
    assert not any(gradients(trace.penalties["codebook"], encoder))
    assert not any(gradients(trace.penalties["commitment"], [model.encoder.book]))
    assert not any(gradients(trace.log_px, [model.encoder.book]))


def gradients(value: Tensor, parameters: list[Tensor]) -> list[bool]:
    found = torch.autograd.grad(value.sum(), parameters, retain_graph=True, allow_unused=True)
    return [g is not None and bool(g.any()) for g in found]


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_losses_and_updates_do_not_depend_on_the_batch_size(codebook: str) -> None:
    x, found = images(1), []
    for copies in (1, 7):
        model = made(codebook=codebook, revive=0.0)
        trace, scored = terms(model, x.expand(copies, -1, -1, -1))
        assert torch.allclose(scored.loss, scored.loss[0].expand(copies), rtol=1e-5)
        model.after_step(model.observe(trace))
        found.append((scored.loss[0], model.encoder.book, model.encoder.usage))
    for one, seven in zip(*found, strict=True):
        assert torch.allclose(one, seven, rtol=1e-4, atol=1e-6)


def test_running_means_are_those_of_the_paper() -> None:
    """Appendix A.1 as it is written, in numpy, with the sums m_i kept."""
    decay, rng = 0.8, np.random.default_rng(0)
    book = Codebook(torch.nn.Identity(), N, (C, L), learned=False).double()
    e = book.book.numpy().copy()
    counts = np.full(N, 1 / N)
    sums = counts[:, None] * e
    for _ in range(20):
        index, z = rng.integers(N - 1, size=30), rng.normal(size=(30, C))  # the last is not used
        for i in range(N):
            mine = z[index == i]
            counts[i] = decay * counts[i] + (1 - decay) * len(mine) / 30
            sums[i] = decay * sums[i] + (1 - decay) * mine.sum(0) / 30
        share = usage(torch.from_numpy(index), N, torch.float64)
        mean = torch.from_numpy(np.stack([z[index == i].sum(0) for i in range(N)]) / 30)
        book.follow(share, mean, decay)
        book.count(share, decay)
    np.testing.assert_allclose(book.book.numpy(), sums / counts[:, None], rtol=1e-10)
    np.testing.assert_allclose(book.usage.numpy(), counts, rtol=1e-10)


def test_a_code_that_is_never_used_stays_where_it_is() -> None:
    model = made(revive=0.0)
    with torch.no_grad():
        model.encoder.book[1] = 1e3
    before = model.encoder.book[1].clone()
    step, x = make_step(model), images(8)
    for number in range(50):
        step(vaezoo.Batch(x), number)
    assert torch.equal(model.encoder.book[1], before)
    model.encoder.usage.zero_()  # as it is after many more, in float32
    step(vaezoo.Batch(x), 50)
    assert torch.equal(model.encoder.book[1], before)
    assert model.encoder.book.isfinite().all()


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_dead_codes_become_outputs_of_the_encoder_and_no_others_change(codebook: str) -> None:
    model = made(codebook=codebook)
    book = model.encoder
    book.usage.copy_(torch.tensor([0.5, 0.01, 0.48, 0.01]))  # an even share is 0.25
    before, outputs = book.book.detach().clone(), torch.randn(9, C)
    with torch.no_grad():
        book.revive(outputs, 0.1 / N)
    for code in (1, 3):
        assert (book.book[code] == outputs).all(1).any()
        assert book.usage[code] == 1 / N
    assert torch.equal(book.book[[0, 2]], before[[0, 2]])
    assert torch.allclose(book.usage[[0, 2]], torch.tensor([0.5, 0.48]))


def test_outputs_that_are_not_finite_revive_nothing() -> None:
    book = made().encoder
    book.usage.zero_()
    before = book.book.clone()
    book.revive(torch.full((9, C), torch.nan), 0.1)
    assert torch.equal(book.book, before)


def test_training_revives_codes_that_lie_far_from_all_outputs() -> None:
    model = made(codes=8, decay=0.5)
    with torch.no_grad():
        model.encoder.book[4:] = 1e3
    train(model, None, steps=15)
    assert model.encoder.book.abs().max() < 100


def test_the_perplexity_of_known_counts() -> None:
    index = torch.tensor([[0, 0], [1, 3]])
    share = usage(index, 5, torch.float64)
    assert share.tolist() == [0.5, 0.25, 0.0, 0.25, 0.0]
    assert perplexity(share).item() == pytest.approx(2**1.5)
    assert perplexity(usage(torch.arange(5), 5, torch.float64)).item() == pytest.approx(5)
    assert perplexity(usage(torch.full((3, 2), 4), 5, torch.float64)).item() == 1.0


def test_training_reports_it() -> None:
    history = train(small("vq-vae", codes=N), None)
    reported = [r["perplexity"] for r in history.records if r["split"] == "train"]
    assert reported
    assert all(1 <= value <= N for value in reported)


def test_one_code_says_nothing() -> None:
    model, x = made(codes=1), images(5)
    trace, scored = terms(model, x)
    assert not trace.kl.any()
    assert scored.logs["perplexity"] == 1
    assert len(torch.unique(model.embed(x), dim=0)) == 1
    train(model, None, steps=3)


def test_a_latent_shape_is_the_numbers_of_a_code_and_its_grid() -> None:
    network = {"name": "resnet", "channels": [4]}
    options: dict[str, Any] = {"input_shape": (1, 12, 20), "network": network}
    model = vaezoo.create("vq-vae", latent_shape=(6, 3, 5), **options)
    assert model.latent_shape == (6, 3, 5)
    assert model.encode(torch.rand(2, 1, 12, 20)).index.shape == (2, 3, 5)
    assert model.sample(2).shape == (2, 1, 12, 20)
    with pytest.raises(vaezoo.OptionError, match=r"here a code has 4: give .*\(4, 3, 5\)"):
        vaezoo.create("vq-vae", latent_shape=(6, 3, 5), code_dim=4, **options)
    offered = {"latent_shape": (6, 3, 5)}
    model = vaezoo.create("vq-vae", code_dim=4, offered=offered, **options)
    assert model.latent_shape == (4, 3, 5)
    assert model.config is not None
    assert model.config.shared["latent_shape"] == [4, 3, 5]


@pytest.mark.parametrize(
    "options",
    [{"codes": 0}, {"commitment": -1.0}, {"decay": 1.0}, {"revive": 1.0}, {"codebook": "sgd"}],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(vaezoo.OptionError, match=next(iter(options))):
        vaezoo.create("vq-vae", **options)

"""m2-vae: the semi-supervised VAE, against brute force over labels, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence
from training_helpers import QUICK, SHAPE, images

import vaezoo
from vaezoo.enumeration import Chosen, EnumeratedTrace, OneHot, choose, draw_alike
from vaezoo.heads.gaussian import normal

K, B, C, D = 4, 6, 5, 3
MIXED = torch.tensor([2, -1, 0, -1, -1, 4])
LABELLED = MIXED >= 0


def tiny(alpha: float = 0.0, **options: Any) -> vaezoo.VAE:
    """A small model in float64, off its initial weights."""
    torch.manual_seed(0)
    network = {"name": "mlp", "hidden": [7], "activation": "tanh"}
    options = {"network": network, "num_classes": C, "alpha": alpha, **options}
    model = vaezoo.create("m2-vae", input_shape=SHAPE, latent_dim=D, **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def x_and_noise() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return images(B).double(), torch.randn(K, B, D, dtype=torch.float64)


def bounds(model: vaezoo.VAE, x: Tensor, noise: Tensor) -> Tensor:
    """-L(x,y) of every y, by its definition from the parts: (C, K, B)."""
    rows = []
    for label in range(C):
        y = torch.full((len(x),), label)
        q = model.encoder(x, y)
        z = q.base_dist.loc + q.base_dist.scale * noise
        kl = kl_divergence(q, model.prior(y))
        rows.append(model.decoder(z, y).log_prob(x) - math.log(C) - kl)
    return torch.stack(rows)


def traced(model: vaezoo.VAE, x: Tensor, y: Tensor | None, noise: Tensor) -> vaezoo.Trace:
    """The model's trace of that noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda *shape, **_: noise.unsqueeze(1))
        return model(x, y, K)


def test_the_elbo_is_the_bound_of_what_is_observed() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    trace, each = traced(model, x, MIXED, noise), bounds(model, x, noise)
    q = Categorical(probs=model.predict_proba(x))
    unlabelled = (q.probs.T.unsqueeze(1) * each).sum(0) + q.entropy()  # eq. 7
    labelled = each[MIXED.clamp(min=0), :, torch.arange(B)].T  # eq. 6
    expected = torch.where(LABELLED, labelled, unlabelled)
    assert torch.allclose(trace.elbo, expected, rtol=1e-12)
    assert torch.allclose(trace.elbo, trace.log_px - sum(trace.kls), rtol=1e-12)
    loss = model.objective.score(trace, {"beta": torch.tensor(1.0)}).loss
    assert torch.allclose(loss, -expected.mean(0), rtol=1e-12)


def test_the_kl_of_y_counts_the_entropy_and_the_prior() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    site = traced(model, x, MIXED, noise).sites[0]
    entropy = Categorical(probs=model.predict_proba(x)).entropy()
    expected = math.log(C) - torch.where(LABELLED, 0.0, entropy)
    assert (site.name, site.kl_kind) == ("y", "analytic")
    assert torch.allclose(site.kl, expected.expand(K, B), rtol=1e-12)


def test_no_labels_are_labels_of_minus_one() -> None:
    model, (x, noise) = tiny(1.0), x_and_noise()
    a, b = (traced(model, x, y, noise) for y in (None, torch.full((B,), -1)))
    assert torch.equal(a.elbo, b.elbo)
    assert not a.penalties["classification"].any()


def test_with_all_labels_it_is_a_conditional_vae_and_the_prior_of_y() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    y = torch.arange(B) % C
    inner = vaezoo.VAE(model.encoder, model.decoder, model.prior)
    q = inner.encoder(x, y)
    z = q.base_dist.loc + q.base_dist.scale * noise
    site = vaezoo.Site(q, inner.prior(y), z)
    conditional = vaezoo.Trace(x, inner.decoder(z, y), (site,))
    trace = traced(model, x, y, noise)
    assert torch.allclose(trace.elbo, conditional.elbo - math.log(C), rtol=1e-12)
    assert torch.allclose(trace.log_w, conditional.log_w - math.log(C), rtol=1e-12)
    assert torch.allclose(trace.sites[1].z, z, rtol=1e-12)
    assert torch.allclose(trace.px.log_prob(x), conditional.log_px, rtol=1e-12)
    assert torch.allclose(trace.px.mean, conditional.px.mean, rtol=1e-12)


def test_importance_weights_sum_over_the_possible_labels() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    trace = traced(model, x, MIXED, noise)
    rows = []
    for label in range(C):
        y = torch.full((B,), label)
        q, p = model.encoder(x, y), model.prior(y)
        z = q.base_dist.loc + q.base_dist.scale * noise
        log_w = model.decoder(z, y).log_prob(x) + p.log_prob(z) - q.log_prob(z)
        rows.append(log_w - math.log(C))
    each = torch.stack(rows)
    labelled = each[MIXED.clamp(min=0), :, torch.arange(B)].T
    expected = torch.where(LABELLED, labelled, each.logsumexp(0))
    assert torch.allclose(trace.log_w, expected, rtol=1e-12)


def brute_force(model: vaezoo.VAE, x: Tensor) -> Tensor:
    """log p(x,y) of every y by quadrature over a one-dimensional z: (C, B)."""
    z = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    log_pz = -0.5 * z.square() - 0.5 * math.log(2 * math.pi) + math.log(20 / 4000)
    rows = []
    with torch.no_grad():
        for label in range(C):
            px = model.decoder(
                z.reshape(-1, 1, 1).expand(-1, len(x), 1), torch.full((len(x),), label)
            )
            rows.append((px.log_prob(x) + log_pz.unsqueeze(1)).logsumexp(0) - math.log(C))
    return torch.stack(rows)


def test_the_estimates_of_log_p_are_those_of_brute_force() -> None:
    torch.manual_seed(0)
    model = tiny(network={"name": "mlp", "hidden": [7]})
    model = vaezoo.create(
        "m2-vae",
        input_shape=SHAPE,
        latent_dim=1,
        num_classes=C,
        network={"name": "mlp", "hidden": [7]},
    ).double()
    x = images(B).double()
    joint = brute_force(model, x)
    exact = joint.logsumexp(0)
    many = model.log_likelihood(x, samples=4000, seed=0)
    assert torch.allclose(many, exact, atol=0.02)
    labels = torch.arange(B) % C
    known = model.log_likelihood(x, labels, samples=4000, seed=0)
    assert torch.allclose(known, joint[labels, torch.arange(B)], atol=0.02)
    # E[w] = p(x) with one sample, too: no bias from the sum over labels.
    repeats = 4000
    w = model.log_likelihood(x.repeat(repeats, 1, 1, 1), samples=1, seed=1).reshape(-1, B)
    ratio = (w - exact).exp()
    assert ((ratio.mean(0) - 1).abs() < 4 * ratio.std(0) / repeats**0.5).all()
    elbo = model.elbo(x.repeat(repeats, 1, 1, 1), seed=2).reshape(-1, B)
    assert (elbo.mean(0) - 4 * elbo.std(0) / repeats**0.5 < exact).all()
    assert (elbo.mean(0) < w.mean(0)).all()


def test_the_classification_term_is_the_mean_over_labelled_examples() -> None:
    alpha = 0.7
    model, (x, noise) = tiny(alpha), x_and_noise()
    trace = traced(model, x, MIXED, noise)
    log_q = model.classifier(x).logits
    expected = -alpha * log_q[LABELLED, MIXED[LABELLED]].mean()
    penalty = trace.penalties["classification"]
    assert torch.allclose(penalty.mean(), expected, rtol=1e-12)
    assert torch.equal(penalty != 0, LABELLED)
    loss = model.objective.score(trace, {"beta": torch.tensor(1.0)}).loss.mean()
    assert torch.allclose(loss, -trace.elbo.mean() + expected, rtol=1e-12)


def test_each_term_trains_what_it_should() -> None:
    model, (x, noise) = tiny(1.0), x_and_noise()
    classifier = [*model.classifier.parameters()]

    def gradients(y: Tensor, value: str) -> list[Tensor | None]:
        trace = traced(model, x, y, noise)
        term = trace.elbo if value == "elbo" else trace.penalties["classification"]
        return torch.autograd.grad(term.mean(), classifier, allow_unused=True)

    labels = torch.arange(B) % C
    assert not any(g.any() for g in gradients(labels, "elbo"))  # L(x,y) has no q(y|x)
    assert all(g.any() for g in gradients(labels, "classification"))
    assert all(g.any() for g in gradients(torch.full((B,), -1), "elbo"))  # U(x) has


def test_the_gradient_of_the_unlabelled_bound_is_that_of_brute_force() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    parameters = [*model.parameters()]
    log_q = model.classifier(x).logits
    exact = (log_q.exp().T.unsqueeze(1) * (bounds(model, x, noise) - log_q.T.unsqueeze(1))).sum(0)
    expected = torch.autograd.grad(exact.mean(), parameters)
    found = torch.autograd.grad(traced(model, x, None, noise).elbo.mean(), parameters)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_examples_do_not_depend_on_the_others_in_the_batch() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    whole = traced(model, x, MIXED, noise).elbo
    for i in range(B):
        alone = traced(model, x[i : i + 1], MIXED[i : i + 1], noise[:, i : i + 1])
        assert torch.allclose(alone.elbo[:, 0], whole[:, i], rtol=1e-12)


def test_labels_are_drawn_from_q_and_stand_for_the_sites() -> None:
    model, n = tiny(), 4000
    x = images(2).double()
    y = torch.tensor([-1, 3])
    trace = model(x, y, n)
    label, z = trace.sites
    assert label.z.shape == (n, 2, C)
    found, q = label.z.mean(0), model.predict_proba(x)
    assert torch.equal(label.z[:, 1].argmax(1), torch.full((n,), 3))
    assert ((found[0] - q[0]).abs() < 4 * (q[0] * (1 - q[0]) / n).sqrt()).all()
    # Drawn so, log q - log p has the KL as its mean, and log p(x|z,y) that of ``log_px``.
    for draws, mean in ((z.log_q - z.log_p, z.kl), (trace.px.log_prob(x), trace.log_px)):
        error = 4 * (draws - mean).std(0) / n**0.5
        assert ((draws - mean).mean(0).abs() < error + 1e-12).all()
    assert torch.allclose(z.q.log_prob(z.z), z.log_q)
    assert z.q.sample().shape == z.q.mean.shape == z.q.variance.shape == (n, 2, D)


def test_samples_have_the_labels_that_are_asked_for_or_uniform_ones() -> None:
    model, n = tiny(), 2000
    seen: list[Tensor] = []
    decoder = model.decoder.forward
    model.decoder.forward = lambda z, y: (seen.append(y), decoder(z, y))[1]  # type: ignore[method-assign]
    model.sample(n, seed=0)
    counts = torch.bincount(torch.cat(seen), minlength=C)
    assert ((counts - n / C).abs() < 4 * (n / C * (1 - 1 / C)) ** 0.5).all()
    seen.clear()
    model.sample(4, torch.tensor([1, -1, 3, 0]))
    assert torch.equal(torch.cat(seen)[[0, 2, 3]], torch.tensor([1, 3, 0]))
    assert torch.equal(model.sample(5, seed=3), model.sample(5, seed=3))


def test_what_needs_a_label_takes_the_most_probable_one() -> None:
    model, x = tiny(), images(B).double()
    y = model.predict(x)
    assert torch.equal(y, model.predict_proba(x).argmax(1))
    for found, expected in (
        (model.embed(x), model.embed(x, y)),
        (model.reconstruct(x), model.reconstruct(x, torch.full((B,), -1))),
        (model.reconstruct(x), model.reconstruct(x, y)),
        (model.encode(x).mean, model.encode(x, y).mean),
        (model.traverse(x[:1]), model.traverse(x[:1], y=y[:1])),
        (model.interpolate(x, x.flip(0)), model.interpolate(x, x.flip(0), y=y)),
    ):
        assert torch.equal(found, expected)
    with pytest.raises(vaezoo.DataError, match="pass y"):
        model.decode(torch.zeros(1, D))
    with pytest.raises(vaezoo.DataError, match=r"-1..2; .* in 0..4"):
        model.decode(torch.zeros(2, D), torch.tensor([-1, 2]))
    with pytest.raises(vaezoo.DataError, match="-1 where unlabelled"):
        model.elbo(x, torch.full((B,), -2))


def test_it_learns_from_few_labels_what_a_mixed_batch_says() -> None:
    x = images(200, seed=3)
    rows = x.flatten(1).reshape(-1, *SHAPE).sum((1, 3)).argmax(1)
    y = rows.clone()
    y[20:] = -1
    torch.manual_seed(0)
    network = {"name": "mlp", "hidden": [16]}
    model = vaezoo.create(
        "m2-vae", input_shape=SHAPE, latent_dim=2, num_classes=6, network=network, alpha=1.0
    )
    options = {**QUICK, "batch_size": 50}
    vaezoo.fit(model, (x, y), steps=300, learning_rate=1e-2, validation=(x, rows), **options)
    figures = vaezoo.evaluate(model, (x, rows), ["accuracy"])
    assert figures["accuracy"] > 0.95
    assert figures["labelled"] == 200


@pytest.mark.parametrize("y", [None, torch.full((40,), -1)])
def test_data_without_any_label_are_refused(y: Tensor | None) -> None:
    model = tiny().float()
    data = images() if y is None else vaezoo.data.TensorSource(images(), y, C)
    with pytest.raises(vaezoo.DataError, match=r"none of the training examples .* is labelled"):
        vaezoo.fit(model, data, steps=1, **QUICK)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(vaezoo.OptionError, match="alpha must not be negative"):
        tiny(-1.0)
    with pytest.raises(vaezoo.OptionError, match="num_classes, how many there are"):
        vaezoo.create("m2-vae")


def test_a_prior_for_each_label_is_enumerated_too() -> None:
    model, (x, noise) = tiny(prior="class-normal"), x_and_noise()
    trace, each = traced(model, x, None, noise), bounds(model, x, noise)
    q = Categorical(probs=model.predict_proba(x))
    expected = (q.probs.T.unsqueeze(1) * each).sum(0) + q.entropy()
    assert torch.allclose(trace.elbo, expected, rtol=1e-12)
    assert trace.sites[1].log_p.shape == (K, B)


def test_one_hot_is_torchs_categorical() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, B, C, dtype=torch.float64)
    q, p = OneHot(logits[0]), OneHot(logits[1])
    value = torch.eye(C, dtype=torch.float64)[torch.arange(B) % C]
    reference = torch.distributions.OneHotCategorical(logits=logits[0])
    other = torch.distributions.OneHotCategorical(logits=logits[1])
    assert torch.allclose(q.log_prob(value), reference.log_prob(value))
    assert torch.allclose(q.mean, reference.mean)
    assert torch.allclose(q.variance, reference.variance)
    assert torch.allclose(kl_divergence(q, p), kl_divergence(reference, other))
    drawn = q.sample((3, 4))
    assert drawn.shape == (3, 4, B, C)
    assert torch.equal(drawn.sum(-1), torch.ones(3, 4, B, dtype=torch.float64))


def test_a_chosen_distribution_is_the_one_of_the_index() -> None:
    torch.manual_seed(0)
    mean, sigma = torch.randn(K, C * B, D), torch.rand(K, C * B, D) + 0.5
    index = torch.randint(C, (K, B))
    chosen = Chosen(normal(mean, sigma, 1), index)
    value = torch.randn(K, B, D)
    for k in range(K):
        for b in range(B):
            place = index[k, b] * B + b
            one = normal(mean[k, place], sigma[k, place], 1)
            assert torch.equal(chosen.mean[k, b], one.mean)
            assert torch.allclose(chosen.log_prob(value)[k, b], one.log_prob(value[k, b]))
    assert torch.equal(choose(mean, index), chosen.mean)


def test_draws_alike_share_their_noise_and_others_do_not_need_to() -> None:
    mean, sigma = torch.randn(C * B, D), torch.rand(C * B, D) + 0.5
    z = draw_alike(normal(mean, sigma, 1), K, C)
    noise = ((z - mean) / sigma).reshape(K, C, B, D)
    assert torch.allclose(noise, noise[:, :1].expand_as(noise), atol=1e-4)
    assert noise[:, 0].std() == pytest.approx(1, abs=0.3)
    laplace = torch.distributions.Laplace(mean, sigma)
    assert draw_alike(torch.distributions.Independent(laplace, 1), K, C).shape == (K, C * B, D)


def test_the_trace_is_of_the_core() -> None:
    model, (x, noise) = tiny(), x_and_noise()
    trace = traced(model, x, MIXED, noise)
    assert isinstance(trace, EnumeratedTrace)
    assert [site.name for site in trace.sites] == ["y", "z"]
    assert trace.sites[1].kl_by_dimension.shape == (K, B, D)
    assert torch.allclose(trace.sites[1].kl_by_dimension.sum(-1), trace.sites[1].kl)


def test_a_class_without_any_label_is_told() -> None:
    y = torch.where(torch.arange(24) % 3 == 0, 0, -1)
    model = vaezoo.create("m2-vae", input_shape=SHAPE, latent_dim=2, num_classes=3, network="mlp")
    with pytest.warns(vaezoo.DataWarning, match="has the label 1, 2: the model cannot learn what"):
        vaezoo.fit(model, (images(24), y), steps=1, **QUICK)


@pytest.mark.parametrize("name", ["m2-vae", "cvae"])
def test_data_of_one_class_make_no_model_that_could_not_be_loaded(name: str) -> None:
    with pytest.raises(vaezoo.OptionError, match="the data have one class alone"):
        vaezoo.create(name, input_shape=SHAPE, latent_dim=2, offered={"num_classes": 1})
    assert vaezoo.create("vae", input_shape=SHAPE, offered={"num_classes": 1}).num_classes is None

"""Reported figures: sampled z, a fixed split, its binarization, every example alike."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

import vaezoo
from vaezoo.data import TensorSource
from vaezoo.data.splits import Data

SHAPE = (1, 6, 5)


def make(**options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create("vae", input_shape=SHAPE, latent_dim=3, network="mlp", **options)


def grey(n: int = 1003) -> torch.Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(0))


def test_one_metric_with_options_needs_no_list() -> None:
    one = {"name": "log-likelihood", "samples": 3}
    assert vaezoo.evaluate(make(), grey(20).round(), one) == vaezoo.evaluate(
        make(), grey(20).round(), [one]
    )


def test_figures_come_with_what_they_were_measured_on() -> None:
    result = vaezoo.evaluate(make(), grey(), binarization="static", seed=3)
    assert result["examples"] == 1003
    assert result["split"] == "all"
    assert result["binarization"] == "static"
    assert result["seed"] == 3
    assert {"elbo", "reconstruction", "kl", "elbo_standard_error", "bits_per_dim"} <= set(result)
    json.dumps(result, allow_nan=False)


def test_they_are_means_over_all_examples_the_last_partial_batch_included() -> None:
    model, x = make(), grey()
    result = vaezoo.evaluate(model, x)
    kl = model(x).kl[0]
    assert result["kl"] == pytest.approx(kl.mean().item(), rel=1e-5)
    assert result["elbo"] == pytest.approx(result["reconstruction"] - result["kl"])
    elbo = model.elbo(x)
    error = elbo.std().item() / math.sqrt(len(x))
    assert result["elbo_standard_error"] == pytest.approx(error, rel=0.1)
    assert abs(result["elbo"] - elbo.mean().item()) < 4 * error


def test_z_is_sampled_and_not_the_posterior_mean() -> None:
    """At the mean the figure would be better, and no bound."""
    model = make()
    vaezoo.fit(model, grey(200), steps=300, batch_size=20, learning_rate=1e-2, progress=False)
    x = grey(200)
    with torch.no_grad():
        at_mean = model.decoder(model.encoder(x).mean).log_prob(x).mean()
    assert vaezoo.evaluate(model, x)["reconstruction"] < at_mean.item()


def test_figures_are_the_same_each_time_dynamic_binarization_included() -> None:
    model = make()
    first = vaezoo.evaluate(model, grey(), binarization="dynamic")
    torch.manual_seed(99)
    assert vaezoo.evaluate(model, grey(), binarization="dynamic") == first
    assert vaezoo.evaluate(model, grey(), binarization="dynamic", seed=1) != first


def test_bits_per_dim_are_defined_for_discrete_data_alone() -> None:
    model = make()
    binary = vaezoo.evaluate(model, grey(), binarization="threshold")
    expected = -binary["elbo"] / (30 * math.log(2))
    assert binary["bits_per_dim"] == pytest.approx(expected)
    assert "bits_per_dim" not in vaezoo.evaluate(model, grey())
    with pytest.raises(vaezoo.DataError, match="defined for discrete data"):
        vaezoo.evaluate(model, grey(), ["bits-per-dim"])
    gaussian = make(likelihood="gaussian")
    assert "bits_per_dim" not in vaezoo.evaluate(gaussian, grey(), binarization="threshold")


def test_the_log_likelihood_is_a_metric_with_options() -> None:
    metric = {"name": "log-likelihood", "samples": 20}
    model, x = make(), grey(1003).round()
    result = vaezoo.evaluate(model, x, ["elbo", metric], seed=3)
    assert result["samples"] == 20
    assert result["log_likelihood"] > result["elbo"]
    whole = model.log_likelihood(x, samples=20, seed=3)  # whatever batches are measured in
    assert result["log_likelihood"] == pytest.approx(whole.mean().item(), abs=1e-4)
    error = whole.std().item() / math.sqrt(len(x))
    assert result["log_likelihood_standard_error"] == pytest.approx(error, rel=1e-4)


def test_a_likelihood_that_is_not_normalised_has_no_log_likelihood() -> None:
    metric = {"name": "log-likelihood", "samples": 3}
    with pytest.raises(
        vaezoo.DataError, match=r"needs a normalised p\(x\|z\), and .* grey values"
    ):
        vaezoo.evaluate(make(), grey(5), [metric])
    for likelihood in ("continuous-bernoulli", "gaussian"):
        model = make(likelihood=likelihood)
        assert math.isfinite(vaezoo.evaluate(model, grey(5), [metric])["log_likelihood"])


def test_the_order_of_the_examples_changes_nothing_but_the_draws() -> None:
    """Nothing is shuffled or left out: each example is measured once, wherever it stands."""
    model, x = make(), grey(1003)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    first, second = (vaezoo.evaluate(model, data) for data in (x, x[order]))
    assert first["kl"] == pytest.approx(second["kl"], rel=1e-6)
    assert first["elbo"] == pytest.approx(second["elbo"], abs=4 * first["elbo_standard_error"])


def test_static_binarization_is_that_of_the_data_and_not_of_the_seed() -> None:
    model, x = make(likelihood="bernoulli"), grey(50)
    first, second = (vaezoo.evaluate(model, x, seed=s, binarization="static") for s in (0, 1))
    assert first["kl"] == second["kl"]  # of the same binary images
    assert first["reconstruction"] != second["reconstruction"]  # at other draws of z


def test_a_metric_is_asked_for_once_and_wrong_ones_are_told_before_any_is_computed() -> None:
    model = make()
    with pytest.raises(vaezoo.OptionError, match="'elbo' is asked for twice"):
        vaezoo.evaluate(model, grey(5), ["elbo", {"name": "elbo"}])
    model.forward = None  # type: ignore[assignment,method-assign]
    with pytest.raises(vaezoo.UnknownComponentError):
        vaezoo.evaluate(model, grey(5), ["elbo", "elb"])


def test_the_test_split_is_the_default_of_split_data() -> None:
    data = Data(
        name="mine",
        train=TensorSource(grey(40)),
        test=TensorSource(grey(7)),
        description={"name": "mine"},
    )
    model = make()
    assert vaezoo.evaluate(model, data)["examples"] == 7
    assert vaezoo.evaluate(model, data, split="train")["examples"] == 40
    with pytest.raises(vaezoo.DataError, match="validation"):
        vaezoo.evaluate(model, data, split="validation")


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (["elb"], vaezoo.UnknownComponentError, "Did you mean 'elbo'"),
        ([{"name": "log-likelihood", "sample": 3}], vaezoo.OptionError, "Did you mean 'samples'"),
    ],
)
def test_wrong_metrics(metrics: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        vaezoo.evaluate(make(), grey(), metrics)


def test_what_is_no_bound_is_refused() -> None:
    model = make()
    model.bound = "none"
    with pytest.raises(vaezoo.NoBoundError, match="no bound"):
        vaezoo.evaluate(model, grey(), ["elbo"])
    assert "elbo" not in vaezoo.evaluate(model, grey())


def test_wrong_data_get_the_same_errors_as_in_training() -> None:
    with pytest.raises(vaezoo.DataError, match="the model takes"):
        vaezoo.evaluate(make(), torch.rand(3, 1, 5, 6))


def test_what_several_metrics_need_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vaezoo.create("vae", input_shape=(4,), latent_dim=2, likelihood="bernoulli")
    x, calls = torch.rand(30, 4).round(), []
    alone = vaezoo.evaluate(model, x, ["bits-per-dim"])
    forward = type(model).forward

    def counted(self: vaezoo.VAE, x: torch.Tensor, *args: object) -> vaezoo.Trace:
        calls.append(len(x))
        return forward(self, x, *args)

    monkeypatch.setattr(type(model), "forward", counted)
    both = vaezoo.evaluate(model, x, ["elbo", "bits-per-dim"])
    assert calls == [30]
    nats = 4 * math.log(2)
    assert both["bits_per_dim"] == alone["bits_per_dim"] == pytest.approx(-both["elbo"] / nats)
    error = both["bits_per_dim_standard_error"]
    assert error == pytest.approx(both["elbo_standard_error"] / nats)

"""What training warns of, what it says to try, and when it rightly keeps silent."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, OneHotCategorical
from training_helpers import QUICK, SHAPE, images, small

import vaezoo
from vaezoo.data import TensorSource, as_data
from vaezoo.training import diagnosis
from vaezoo.training.diagnosis import (
    diagnose,
    latent_use,
    lost_validations,
    skipped_in_a_row,
    skipped_steps,
)

ENOUGH = [{"split": "train", "step": 600, "skipped": 0.0}]
D = 3


class Encodes(vaezoo.Encoder):
    """q(z|x) with the given means at each pixel column that is lit, and the given sigmas."""

    def __init__(self, scale: Sequence[float], sigma: Sequence[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(scale, dtype=torch.float32))
        self.sigma = torch.tensor(sigma, dtype=torch.float32)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        row = x.mean(-1).flatten(1).argmax(-1)  # (B,), which row is lit
        mean = (row.to(x.dtype) - 2.5).unsqueeze(-1) / 1.7 * self.weight
        return Independent(Normal(mean, self.sigma.expand_as(mean), validate_args=False), 1)


def model_of(scale: Sequence[float], sigma: Sequence[float], **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create(
        "vae",
        input_shape=SHAPE,
        latent_dim=D,
        encoder=Encodes(scale, sigma),
        network={"name": "mlp", "hidden": [4]},
        **options,
    )


def told(model: vaezoo.VAE, records: Any = ENOUGH) -> list[str]:
    return diagnose(model, as_data(images(80)), "none", records)


def test_a_healthy_model_is_not_warned_of() -> None:
    assert told(model_of([1, 1, -1], [0.3, 0.3, 0.3])) == []


def test_of_many_dimensions_a_few_may_be_inactive(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of([1, 0, -1], [0.3, 1.0, 0.3])
    assert told(model)
    monkeypatch.setattr(diagnosis, "MANY", D)
    assert told(model)  # a third is not a few
    monkeypatch.setattr(diagnosis, "SPARE", 0.4)
    assert not told(model)


def test_collapse_is_told_with_what_to_try() -> None:
    (warning,) = told(model_of([0, 0, 0.01], [1, 1, 1]))
    assert warning.startswith("the posterior has collapsed: its KL is ")
    for advice in ("lower beta", "warmup_steps", "free bits", "weaker decoder"):
        assert advice in warning


def test_dead_dimensions_are_named() -> None:
    (warning,) = told(model_of([0, 1, 0.01], [1, 0.3, 1]))
    assert warning.startswith("2 of 3 latent dimensions are inactive")
    assert "(0, 2)" in warning
    assert "smaller latent_dim" in warning


def test_the_use_of_latents_is_the_kl_and_the_variance_of_the_means() -> None:
    """KL of N(m, s) from N(0, 1) = (m^2 + s^2 - 1)/2 - log s, summed over dimensions."""
    model = model_of([0, 1, 0.01], [1, 0.3, 1])
    data = images(80)
    (use,) = latent_use(model, TensorSource(data), "none")
    q = model.encode(data)
    expected = ((q.mean**2 + q.variance - 1) / 2 - q.stddev.log()).sum(1).mean()
    assert use.kl.sum().item() == pytest.approx(expected.item(), rel=1e-5)
    assert (use.size, use.inactive) == (3, [0, 2])
    assert q.mean.var(0)[1] > 0.5


@pytest.mark.parametrize(
    "records", [[], [{"split": "train", "step": 499, "skipped": 0.0}]], ids=["none", "few"]
)
def test_nothing_is_said_of_latents_after_a_few_steps(records: Any) -> None:
    assert told(model_of([0, 0, 0], [1, 1, 1]), records) == []


def test_nothing_is_said_while_a_warm_up_lasts() -> None:
    collapsed = model_of([0, 0, 0], [1, 1, 1])
    for steps, silent in ((1000, True), (300, False)):
        objective = vaezoo.ELBO(vaezoo.schedules.Linear(0.0, 1.0, steps))
        model = vaezoo.VAE(
            collapsed.encoder, collapsed.decoder, collapsed.prior, objective=objective
        )
        assert (told(model) == []) == silent


def test_nothing_is_said_of_models_whose_loss_is_no_bound() -> None:
    collapsed = model_of([0, 0, 0], [1, 1, 1])
    model = vaezoo.VAE(collapsed.encoder, collapsed.decoder, collapsed.prior, bound="none")
    assert told(model) == []


class Learned(vaezoo.Prior):
    """A prior of another place and width than the standard normal's."""

    event_shape = (D,)

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.05))

    def forward(self, y: Tensor | None = None) -> Distribution:
        return Independent(Normal(torch.full((D,), 7.0), self.scale, validate_args=False), 1)


def test_activity_is_measured_against_the_prior() -> None:
    """Means that vary by 0.05 are inactive under N(0, 1), but not where the prior is as narrow."""
    encoder = Encodes([0.05] * D, [0.02] * D)
    decoder = model_of([1, 1, 1], [1, 1, 1]).decoder
    (use,) = latent_use(vaezoo.VAE(encoder, decoder, Learned()), TensorSource(images(80)), "none")
    assert use.inactive == []
    standard = vaezoo.VAE(encoder, decoder, model_of([1, 1, 1], [1, 1, 1]).prior)
    (use,) = latent_use(standard, TensorSource(images(80)), "none")
    assert use.inactive == [0, 1, 2]


def test_a_posterior_that_follows_its_class_prior_is_inactive() -> None:
    """Its means vary from class to class, but tell nothing about x that y does not."""
    model = small("cvae", num_classes=3, prior="class-normal")

    class Follows(vaezoo.Encoder):
        num_classes = 3

        def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
            return model.prior(y)  # type: ignore[no-any-return]

    for p in model.prior.parameters():
        torch.nn.init.normal_(p)
    model = vaezoo.VAE(Follows(), model.decoder, model.prior)
    source = TensorSource(images(80), torch.arange(80) % 3)
    assert model.encode(source.x, source.y).mean.var(0).min() > 0.1
    (use,) = latent_use(model, source, "none")
    assert use.kl.sum().item() == pytest.approx(0, abs=1e-6)
    assert use.inactive == [0, 1, 2]


def test_discrete_latents_have_no_dimensions_to_be_dead() -> None:
    class Codes(vaezoo.Encoder):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
            return OneHotCategorical(logits=torch.zeros(len(x), D))

    class Uniform(vaezoo.Prior):
        event_shape = (D,)

        def forward(self, y: Tensor | None = None) -> Distribution:
            return OneHotCategorical(logits=torch.zeros(D))

    class Discrete(vaezoo.VAE):
        def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
            q, p = self.encoder(x), self.prior()
            z = q.sample((samples,))
            return vaezoo.Trace(x, self.decoder(z), (vaezoo.Site(q, p, z),))

    model = Discrete(Codes(), model_of([1, 1, 1], [1, 1, 1]).decoder, Uniform())
    (use,) = latent_use(model, TensorSource(images(8)), "none")
    assert (use.active, use.inactive) == (None, [])


def test_skipped_steps_are_counted_over_the_whole_run() -> None:
    records = [{"skipped": 2.0}, {"skipped": 0.0}, {"skipped": 1.0}, {"loss": None}]
    (warning,) = skipped_steps(records, 1200)
    assert warning.startswith("3 of 1,200 training steps were skipped")
    assert "lower learning_rate, or set clip_norm" in warning
    two_phases = [{"skipped/elbo": 1.0, "skipped/critic": 4.0}] * 2
    assert skipped_steps(two_phases, 20)[0].startswith("8 of 20 training steps")
    assert skipped_steps([{"skipped": 0.0}], 20) == []


def test_validations_that_are_not_finite_are_counted() -> None:
    losses = [3.0, float("nan"), None, float("inf")]
    records: list[dict[str, Any]] = [{"split": "validation", "loss": loss} for loss in losses]
    (warning,) = lost_validations([*records, {"split": "train", "loss": float("nan")}])
    assert warning.startswith("3 of 4 validations gave a loss that is not finite")
    assert "lower learning_rate" in warning
    assert lost_validations(records[:1]) == []


# In a run.


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run as short as the test wants it, that counts as long enough."""
    monkeypatch.setattr(diagnosis, "ENOUGH_STEPS", 100)
    return {"steps": 120, "learning_rate": 2e-2, "validate_every": 60, **QUICK}


def test_a_run_that_collapses_says_so_and_records_it(
    tmp_path: Path, short: dict[str, Any]
) -> None:
    model = small("beta-vae", beta=200.0)
    with pytest.warns(vaezoo.TrainingWarning, match="the posterior has collapsed") as caught:
        history = vaezoo.fit(model, images(80), out=tmp_path, **short)
    assert [str(w.message) for w in caught] == history.warnings
    assert caught[0].filename == __file__
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["warnings"] == history.warnings
    assert figures["kl"] < 0.1


def test_a_run_that_learns_is_not_warned_of(tmp_path: Path, short: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = {"name": "mlp", "hidden": [16]}
    model = vaezoo.create("vae", input_shape=SHAPE, latent_dim=1, network=network)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = vaezoo.fit(model, images(80), out=tmp_path, **short)
    assert history.warnings == []
    assert "warnings" not in json.loads((tmp_path / "figures.json").read_text())


class Hopeless(vaezoo.ELBO):
    """A loss whose gradient is never finite: that of sqrt at 0."""

    def score(self, trace: vaezoo.Trace, weights: Any) -> vaezoo.Terms:
        terms = super().score(trace, weights)
        terms.loss = terms.loss + (terms.loss - terms.loss.detach()).sqrt()
        return terms


@pytest.mark.parametrize("steps", [3, 200])
def test_training_in_which_no_step_can_be_taken_stops(steps: int, tmp_path: Path) -> None:
    sound = small()
    model = vaezoo.VAE(sound.encoder, sound.decoder, sound.prior, objective=Hopeless())
    done = {"steps": steps, "log_every": 60, "out": tmp_path / "run", **QUICK}
    said = f"all {min(60, steps)} steps had gradients that are not finite"
    with pytest.raises(vaezoo.TrainingError, match=rf"{said}.*the rest of the loss"):
        vaezoo.fit(model, images(), **done)
    assert not (tmp_path / "run" / "figures.json").exists()


class Broken(vaezoo.VAE):
    """One whose likelihood is not finite."""

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        trace = super().forward(x, y, samples)
        trace.log_px = trace.log_px * float("nan")
        return trace


def test_training_in_which_no_step_can_be_taken_names_what_is_not_finite() -> None:
    sound = small()
    model = Broken(sound.encoder, sound.decoder, sound.prior)
    with pytest.raises(vaezoo.TrainingError, match=r"of a batch, log p\(x\|z\) is not finite"):
        vaezoo.fit(model, images(), steps=2, **QUICK)


def test_training_that_diverges_after_its_first_steps_stops(tmp_path: Path) -> None:
    done = {"steps": 400, "log_every": 100, "out": tmp_path / "run", **QUICK}
    with pytest.raises(vaezoo.TrainingError, match=r"the last \d+ of 100 steps had gradients"):
        vaezoo.fit(small(), images(), learning_rate=1e20, **done)
    assert not (tmp_path / "run" / "figures.json").exists()


def test_steps_skipped_in_a_row_are_counted_for_each_phase() -> None:
    nan = float("nan")
    records = [
        {
            "step": 10,
            "gradient_norm/a": 2.0,
            "skipped/a": 0.0,
            "gradient_norm/b": nan,
            "skipped/b": 5,
        },
        {
            "step": 20,
            "gradient_norm/a": 2.0,
            "skipped/a": 9.0,
            "gradient_norm/b": None,
            "skipped/b": 5,
        },
        {
            "step": 30,
            "gradient_norm/a": nan,
            "skipped/a": 10.0,
            "gradient_norm/b": nan,
            "skipped/b": 5,
        },
    ]
    assert skipped_in_a_row(records) == {"a": 19, "b": 15}
    records.append({**records[0], "step": 40})
    assert skipped_in_a_row(records) == {"a": 0, "b": 20}
    assert skipped_in_a_row([{"step": 9, "gradient_norm": 1.0, "skipped": 8.0}]) == {"": 0}

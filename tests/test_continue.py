"""Longer runs, and fine-tuning from given weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset
from training_helpers import (
    QUICK,
    SHAPE,
    Stop,
    images,
    interrupt_at,
    make_step,
    same,
    small,
    train,
    weights,
)

import vaezoo
from vaezoo.training.config import TrainingConfig, as_recorded
from vaezoo.training.continuing import longer
from vaezoo.training.overrides import overrides
from vaezoo.training.run_folder import RunFolder


def values(model: vaezoo.VAE) -> list[torch.Tensor]:
    return [*weights(model).values()]


def config(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run / "config.json").read_text())
    return read


def test_a_run_from_before_an_option_was_there_goes_on(tmp_path: Path) -> None:
    train(small(), tmp_path)
    path = tmp_path / "config.json"
    old = config(tmp_path)
    new = {**old, "data": {**old["data"], "options": {**old["data"]["options"], "new": None}}}
    assert not longer(old, new, "run")
    new["data"]["options"]["new"] = 3
    with pytest.raises(vaezoo.RunError, match=r"data\.options\.new was None and now is 3"):
        longer(old, new, str(path))


def test_long_values_and_many_differences_are_cut_short_in_the_error(tmp_path: Path) -> None:
    train(small(), tmp_path)
    old = config(tmp_path)
    new = {**old, "data": {**old["data"], "name": "x" * 500, "a": 1, "b": 2, "zz": 3}}
    with pytest.raises(vaezoo.RunError) as caught:
        longer(old, new, "run")
    message = str(caught.value)
    assert message.startswith("run cannot be resumed with another config: data.a was None")
    assert "data.b was None and now is 2" in message
    assert f"now is '{'x' * 59} ..." in message
    assert "x" * 60 not in message
    assert "zz" not in message


# More steps.


@pytest.mark.parametrize("finished", [True, False])
def test_a_longer_run_is_the_one_that_was_so_long_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    whole, longer = small(), small()
    train(whole, None, steps=50)
    with monkeypatch.context() as patch:
        if finished:
            train(small(), tmp_path)
        else:
            interrupt_at(patch, 23)
            with pytest.raises(Stop):
                train(small(), tmp_path)
    history = train(longer, tmp_path, steps=50, resume=True)
    assert same(weights(whole), weights(longer))
    assert [r["step"] for r in history.records if r["split"] == "validation"] == [
        10, 20, 30, 40, 50,
    ]  # fmt: skip
    assert RunFolder(tmp_path).records() == history.records


def test_the_config_tells_how_a_run_grew(tmp_path: Path) -> None:
    train(small(), tmp_path)
    train(small(), tmp_path, steps=40, resume=True)
    train(small(), tmp_path, steps=None, epochs=9, resume=True)  # of 5 steps
    recorded = config(tmp_path)
    assert recorded["training"]["steps"] == 45
    assert recorded["totals"] == [
        {"from_step": 0, "steps": 30, "epochs": 6},
        {"from_step": 30, "steps": 40, "epochs": 8},
        {"from_step": 40, "steps": 45, "epochs": 9},
    ]
    assert json.loads((tmp_path / "figures.json").read_text())["elbo"] < 0


def test_a_run_cannot_be_made_shorter_or_otherwise_changed(tmp_path: Path) -> None:
    train(small(), tmp_path)
    before = config(tmp_path)
    with pytest.raises(
        vaezoo.RunError, match=r"steps was 30 and now is 20, and a run can only be made longer"
    ):
        train(small(), tmp_path, steps=20, resume=True)
    with pytest.raises(vaezoo.RunError, match=r"learning_rate was 0.001 and now is 0.1"):
        train(small(), tmp_path, steps=60, learning_rate=0.1, resume=True)
    assert config(tmp_path) == before
    assert (tmp_path / "figures.json").exists()


def test_what_a_run_decided_is_kept_where_it_is_left_open(tmp_path: Path) -> None:
    """Intervals follow from the number of steps: with more steps they would be others."""
    options: dict[str, Any] = {"validate_every": None, "log_every": None}
    train(small(), tmp_path, steps=12, **options)
    before = config(tmp_path)["training"]
    history = train(small(), tmp_path, steps=24, resume=True, **options)
    after = config(tmp_path)["training"]
    assert before["validate_every"] == after["validate_every"] == 3
    assert history.column("step", "validation")[:5] == [3, 6, 9, 12, 15]
    recorded = {"log_every": 7, "precision": "bf16", "batch_size": 3}
    asked = as_recorded(TrainingConfig(batch_size=9, log_every=2), recorded)
    assert (asked.batch_size, asked.log_every, asked.precision) == (9, 2, "bf16")


def test_a_schedule_that_ends_is_that_of_the_new_length(tmp_path: Path) -> None:
    """No restart: at step 30 of 60 the rate is where a run of 60 would have it, and not at 0."""
    first, longer = small(), small()
    options: dict[str, Any] = {"lr_schedule": "linear", "validation": 0}
    train(first, tmp_path, **options)
    train(longer, tmp_path, steps=60, resume=True, **options)
    assert not same(weights(first), weights(longer))
    for steps, expected in ((30, 0.0), (60, 0.5e-3)):
        rate = make_step(small(), steps=steps, lr_schedule="linear").rate
        assert rate(torch.tensor(30)).item() == pytest.approx(expected)


def test_a_run_that_was_stopped_early_goes_on_when_it_is_made_longer(tmp_path: Path) -> None:
    options: dict[str, Any] = {"validate_every": 5, "patience": 2, "learning_rate": 0.3}
    history = train(small(), tmp_path, steps=1000, **options)
    stopped = history.records[-1]["step"]
    assert stopped < 1000
    again = train(small(), tmp_path, steps=1000, resume=True, **options)
    assert again.records[-1]["step"] == stopped
    longer = train(small(), tmp_path, steps=1200, resume=True, **options)
    assert longer.records[-1]["step"] > stopped


def test_a_run_of_an_older_version_can_be_resumed(tmp_path: Path) -> None:
    """Its config lacks the options that came later, and its checkpoints what they hold."""
    train(small(), tmp_path)
    recorded = config(tmp_path)
    for key in ("totals", "overrides", "started", "init_from"):
        del recorded[key]
    del recorded["training"]["ema"]
    (tmp_path / "config.json").write_text(json.dumps(recorded))
    for path in (tmp_path / "checkpoints").glob("*/progress.json"):
        progress = json.loads(path.read_text())
        del progress["total"], progress["position"]
        path.write_text(json.dumps(progress))
    whole, longer = small(), small()
    train(longer, tmp_path, steps=40, resume=True)
    train(whole, None, steps=40)
    assert same(weights(whole), weights(longer))
    with pytest.raises(vaezoo.RunError, match=r"ema was None and now is 0.9"):
        train(small(), tmp_path, steps=40, ema=0.9, resume=True)


def test_passes_over_a_stream_can_become_more(tmp_path: Path) -> None:
    def stream() -> DataLoader[Any]:
        dataset = TensorDataset(images(48))
        return DataLoader(dataset, batch_size=5, sampler=SubsetRandomSampler(range(48)))

    whole, longer = small(), small()
    options: dict[str, Any] = {"validation": images(9, seed=1), **QUICK}
    vaezoo.fit(whole, stream(), epochs=4, **options)
    vaezoo.fit(small(), stream(), epochs=2, out=tmp_path, **options)
    vaezoo.fit(longer, stream(), epochs=4, out=tmp_path, resume=True, **options)
    assert same(weights(whole), weights(longer))
    with pytest.raises(vaezoo.RunError, match="epochs was 4 and now is 3"):
        vaezoo.fit(small(), stream(), epochs=3, out=tmp_path, resume=True, **options)
    with pytest.raises(vaezoo.RunError, match="counted in epochs, not in steps"):
        vaezoo.fit(small(), stream(), steps=99, out=tmp_path, resume=True, **options)


# Fine-tuning.


class Starts(vaezoo.VAE):
    """A model whose start depends on the data."""

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        with torch.no_grad():
            for p in self.parameters():
                p.fill_(0.125)


def test_a_loaded_model_starts_from_its_weights(tmp_path: Path) -> None:
    trained = small()
    train(trained, tmp_path / "first")
    loaded = vaezoo.load(tmp_path / "first")
    assert (loaded.prepared, trained.prepared, small().prepared) == (True, True, False)
    train(loaded, tmp_path / "tuned", learning_rate=1e-9, steps=2)
    for a, b in zip(values(loaded), values(trained), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    origin = str(tmp_path / "first" / "model" / "model.safetensors")
    assert config(tmp_path / "tuned")["init_from"] == origin
    assert config(tmp_path / "first")["init_from"] is None


def test_a_start_that_depends_on_the_data_does_not_undo_what_was_learned(tmp_path: Path) -> None:
    parts = small()
    model = Starts(parts.encoder, parts.decoder, parts.prior)
    train(model, tmp_path, steps=4, learning_rate=1e-2)
    learned = weights(model)
    assert not torch.allclose(values(model)[0], torch.tensor(0.125), atol=1e-4)
    train(model, None, steps=1, learning_rate=1e-9)  # again, on the same model
    assert all(torch.allclose(v, learned[n], atol=1e-6) for n, v in weights(model).items())
    parts = small()
    loaded = vaezoo.load(tmp_path, into=Starts(parts.encoder, parts.decoder, parts.prior))
    train(loaded, None, steps=1, learning_rate=1e-9)
    assert all(torch.allclose(v, learned[n], atol=1e-6) for n, v in weights(loaded).items())


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    vaezoo.save(small(), tmp_path)
    wider = vaezoo.create(
        "vae", input_shape=SHAPE, latent_dim=4, network={"name": "mlp", "hidden": [16]}
    )
    with pytest.raises(vaezoo.CheckpointError) as caught:
        vaezoo.load(tmp_path, into=wider)
    assert "encoder.network.inner.layers" in str(caught.value)
    assert "of shape (6, 16) instead of (8, 16)" in str(caught.value)


# What was asked for.


def test_overrides_are_what_differs_from_the_defaults() -> None:
    model = small("beta-vae", beta=2.5, likelihood={"name": "gaussian", "sigma": "optimal"})
    asked = TrainingConfig(steps=30, betas=(0.5, 0.9))
    assert overrides(asked, model) == {
        "steps": 30,
        "betas": [0.5, 0.9],
        "model.beta": 2.5,
        "model.latent_dim": 3,
        "model.network.hidden": [16],
        "model.likelihood.sigma": "optimal",
    }
    own = vaezoo.VAE(model.encoder, model.decoder, model.prior)
    assert overrides(TrainingConfig(), own) == {}


def test_a_run_records_its_overrides(tmp_path: Path) -> None:
    train(small(), tmp_path, learning_rate=2e-3)
    recorded = config(tmp_path)["overrides"]
    assert recorded["learning_rate"] == 2e-3
    assert recorded["model.latent_dim"] == 3
    assert "seed" not in recorded
    train(small(), tmp_path, learning_rate=2e-3, steps=40, resume=True)
    assert config(tmp_path)["overrides"] == recorded

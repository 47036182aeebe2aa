"""The trainer: one loop for every variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_helpers import (
    QUICK,
    SHAPE,
    images,
    make_step,
    same,
    small,
    train,
    weights,
)

import vaezoo
from vaezoo.data import TensorSource, TrainingBatches
from vaezoo.data.splits import Data
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.hardware import resolve_device
from vaezoo.training.validation import validate


def test_training_raises_the_elbo() -> None:
    model = small()
    before = model.elbo(images(), seed=0).mean()
    history = vaezoo.fit(model, images(), steps=200, learning_rate=3e-3, **QUICK)
    assert model.elbo(images(), seed=0).mean() > before + 2
    elbos = history.column("elbo")
    assert sum(elbos[-10:]) > sum(elbos[:10])


def test_a_step_is_plain_adam_on_the_mean_loss() -> None:
    """Against the step as one would write it by hand, same noise."""
    x = images(8)
    ours, theirs = small(), small()
    step = make_step(ours, learning_rate=1e-2)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    for number in range(5):
        torch.manual_seed(number)
        step(vaezoo.Batch(x), number)
        torch.manual_seed(number)
        trace = theirs(x)
        loss = (-trace.log_px + trace.kl).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_figures_are_means_over_the_interval_in_nats() -> None:
    model = small("beta-vae", beta=3.0)
    history = vaezoo.fit(model, images(), steps=4, log_every=2, **QUICK)
    assert len(history.column("elbo")) == 2
    for record in history.records:
        if record["split"] == "train":
            assert record["elbo"] == pytest.approx(record["reconstruction"] - record["kl"], 1e-4)
            assert record["loss"] == pytest.approx(
                3 * record["kl"] - record["reconstruction"], 1e-4
            )
            assert record["beta"] == 3.0
            assert record["skipped"] == 0


def test_gradients_are_clipped_to_the_norm_that_is_asked_for() -> None:
    model = small()
    step = make_step(model, clip_norm=1e-3, optimizer="adam", eps=1.0, learning_rate=1.0)
    before = weights(model)
    step(vaezoo.Batch(images(8)), 0)
    # With eps = 1, Adam's first step is nearly the gradient itself, so its norm is bounded too.
    moved = sum((before[n] - p).square().sum() for n, p in model.named_parameters())
    assert 0 < moved.sqrt() <= 1.01e-3
    assert step.figures()["gradient_norm"] > 1


def test_a_step_that_is_not_finite_is_skipped() -> None:
    model = small()
    step = make_step(model)
    step(vaezoo.Batch(images(8)), 0)
    before = weights(model)
    step(vaezoo.Batch(torch.full((8, *SHAPE), float("nan"))), 1)
    assert same(weights(model), before)
    step(vaezoo.Batch(images(8)), 2)
    assert not same(weights(model), before)
    figures = step.figures()
    assert figures["skipped"] == 1
    assert figures["loss"] == figures["loss"]  # the mean over the other steps, not NaN


class TwoPhases(vaezoo.ELBO):
    """An ELBO with a critic that has a phase of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = torch.nn.Linear(3, 1)

    def phases(self, model: vaezoo.VAE) -> tuple[vaezoo.Phase, ...]:
        def judge(model: vaezoo.VAE, batch: vaezoo.Batch, weights: Any) -> vaezoo.Terms:
            z = model(batch.x).sites[0].z[0]
            return vaezoo.Terms(self.critic(z).square().squeeze(-1))

        critic = vaezoo.Phase("critic", judge, self.critic.parameters(), every=2)
        return (*super().phases(model), critic)


def test_a_phase_updates_its_own_parameters_alone() -> None:
    model = small()
    model = vaezoo.VAE(model.encoder, model.decoder, model.prior, objective=TwoPhases())
    step = make_step(model)
    critic = weights_of(model.objective)
    model_before = weights(model)
    step.updates = step.updates[1:]  # the critic's phase alone: it reads the encoder
    step(vaezoo.Batch(images(8)), 0)
    assert same(weights(model), model_before)
    assert not same(weights_of(model.objective), critic)
    assert all(p.grad is None for p in model.parameters())


def weights_of(objective: vaezoo.Objective) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in objective.state_dict().items()}


def test_a_phase_may_run_at_every_other_step_and_reports_under_its_name() -> None:
    model = small()
    model = vaezoo.VAE(model.encoder, model.decoder, model.prior, objective=TwoPhases())
    step = make_step(model)
    for number in range(4):
        step(vaezoo.Batch(images(8)), number)
    figures = step.figures()
    assert {"loss/elbo", "loss/critic", "elbo"} <= set(figures)


def test_a_phase_without_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameters"):
        vaezoo.Phase("nothing", lambda model, batch, weights: vaezoo.Terms(batch.x), [])


def test_the_learning_rate_warms_up_and_falls() -> None:
    config = TrainingConfig(
        steps=100, lr_warmup_steps=10, lr_schedule="cosine", learning_rate=1.0, device="cpu"
    )
    rate = make_step(small()).rate
    assert rate(torch.tensor(50)).item() == pytest.approx(1e-3)
    from vaezoo.training.rates import learning_rate

    rate = learning_rate(resolve(config, 10))
    values = [rate(torch.tensor(step)).item() for step in (0, 9, 10, 55, 100)]
    assert values == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.0], abs=1e-6)


def test_training_leaves_the_callers_random_state_and_mode_alone() -> None:
    model = small().eval()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    vaezoo.fit(model, images(), steps=3, **QUICK)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training


def test_the_seed_decides_all() -> None:
    runs = []
    for seed in (1, 1, 2):
        model = small()
        torch.manual_seed(len(runs))  # whatever the caller's state
        vaezoo.fit(model, images(), steps=6, seed=seed, binarization="dynamic", **QUICK)
        runs.append(weights(model))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_validation_weighs_every_example_alike() -> None:
    """25 examples in batches of 10: the last, partial batch must not count double."""
    model = small()
    x = images(25)
    arguments: dict[str, Any] = {"weights": {"beta": torch.tensor(1.0)}, "binarization": "none"}
    figures = validate(model, TensorSource(x), batch_size=10, **arguments)
    kl = model(x).kl.mean().item()  # analytic, so the same whatever is drawn
    assert figures["kl"] == pytest.approx(kl, rel=1e-5)
    assert figures["elbo"] == pytest.approx(figures["reconstruction"] - figures["kl"])
    assert figures["loss"] == pytest.approx(-figures["elbo"])


def test_the_model_is_left_with_its_best_weights(tmp_path: Path) -> None:
    """A learning rate that explodes after a while: the last weights are not the best."""
    model = small()
    history = vaezoo.fit(
        model, images(80), steps=60, validate_every=10, learning_rate=0.3, out=tmp_path, **QUICK
    )
    elbos = history.column("elbo", "validation")
    assert history.best is not None
    assert history.best["elbo"] == max(elbos)
    assert same(weights(model), weights(vaezoo.load(tmp_path)))


def test_early_stopping_counts_validations_without_improvement() -> None:
    history = vaezoo.fit(
        small(), images(80), steps=1000, validate_every=5, patience=3, learning_rate=0.1, **QUICK
    )
    assert history.best is not None
    last = history.last("validation")
    assert last is not None
    assert last["step"] == history.best["step"] + 15
    assert last["step"] < 1000


# Data that do not fit.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.rand(40, 1, 5, 6), r"shape \(1, 5, 6\), but the model takes \(1, 6, 5\)"),
        (torch.rand(40, *SHAPE) * 2, r"Bernoulli likelihood needs data in \[0, 1\]"),
        (torch.rand(4, *SHAPE), "batch"),
        ("mnst", "Did you mean 'mnist'?"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(vaezoo.VaezooError, match=message):
        vaezoo.fit(small(), data, steps=2, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "conditioned on labels"),
        (torch.full((40,), 4), r"lie in 4..4, but the model takes 0..3"),
        (torch.full((40,), -1), "labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y: Tensor | None, message: str) -> None:
    data = images() if y is None else (images(), y)
    with pytest.raises(vaezoo.DataError, match=message):
        vaezoo.fit(small("cvae", num_classes=4), data, steps=2, **QUICK)


def test_one_example_out_of_range_is_found_wherever_it_is() -> None:
    x = images(500)
    x[321, 0, 0, 0] = 1.01
    with pytest.raises(vaezoo.DataError, match=r"1\.01"):
        vaezoo.fit(small(), x, steps=2, **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rat": 1.0}, "Did you mean 'learning_rate'?"),
        ({"optimizer": "adm"}, "Did you mean 'adam'?"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"learning_rate": -1.0}, "must be positive"),
        ({"device": "cuda:99"}, "cannot be used"),
        ({"binarization": "sometimes"}, "binarization"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(vaezoo.OptionError) as caught:
        vaezoo.fit(small(), images(), steps=2, progress=False, **{"batch_size": 8, **options})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"), [("cudaa", "cuda"), ("gpu", "cuda"), ("cpuu", "cpu"), ("Auto", "auto")]
)
def test_an_unknown_device_is_answered_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=rf"unknown device .*Did you mean '{meant}'"):
        resolve_device(name)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    def none(*_: object, **__: object) -> None:
        raise RuntimeError("Found no NVIDIA driver on your system. Please check ...\nand more")

    monkeypatch.setattr(torch, "zeros", none)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(vaezoo.OptionError) as caught:
        resolve_device(name)
    found = "cuda:0, cuda:1" if count else "no CUDA GPU"
    assert str(caught.value) == (
        f"device '{name}' cannot be used: torch finds {found} on this machine; 'auto' takes what "
        f"there is, 'cpu' is always there"
    )


@pytest.mark.parametrize(("variant", "who"), [("vae", "model's prior"), ("cvae", "the model is")])
def test_what_is_conditioned_on_labels_is_named(variant: str, who: str) -> None:
    options = {"vae": {"prior": "class-normal"}, "cvae": {}}[variant]
    model = vaezoo.create(variant, input_shape=SHAPE, latent_dim=2, num_classes=3, **options)
    with pytest.raises(vaezoo.DataError, match=rf"{who}.*conditioned on labels, but"):
        vaezoo.fit(model, images(), steps=1, **QUICK)


def test_data_of_ones_own_splits_is_used_as_it_is() -> None:
    train_x, validation_x = images(40), images(20, seed=1)
    data = Data(
        name="mine",
        train=TensorSource(train_x),
        validation=TensorSource(validation_x),
        description={"name": "mine"},
    )
    model = small()
    history = vaezoo.fit(model, data, steps=5, **QUICK)
    last = history.last("validation")
    assert last is not None
    assert last["kl"] == pytest.approx(model(validation_x).kl.mean().item(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"accumulate": 2}])
def test_compiled_and_eager_training_are_the_same(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    losses, norms = [], []
    validating = torch.distributions.Distribution._validate_args
    for execution in ("eager", "compiled"):
        history = vaezoo.fit(small(), images(), steps=12, execution=execution, **options, **QUICK)
        losses.append(history.column("loss"))
        norms.append(history.column("gradient_norm"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    told = [record for record in caplog.records if record.name.startswith("vaezoo")]
    assert not told  # none ran eagerly after all
    assert torch.distributions.Distribution._validate_args == validating


@pytest.mark.gpu
def test_training_on_cuda_in_bf16_raises_the_elbo() -> None:
    model = small()
    history = vaezoo.fit(
        model, images(256), steps=300, learning_rate=3e-3, device="cuda", precision="bf16", **QUICK
    )
    assert model.device.type == "cuda"
    elbos = history.column("elbo")
    assert sum(elbos[-10:]) > sum(elbos[:10]) + 10


@pytest.mark.gpu
def test_a_step_on_cuda_does_not_wait_for_the_device() -> None:
    model = small().cuda()
    step = make_step(model, device="cuda", precision="fp32", execution="eager")
    source = TensorSource(images(64)).to("cuda")
    batches = TrainingBatches(source, batch_size=8, seed=0, binarization="dynamic")
    step(batches.batch(0), 0)  # the optimizer's state is made at the first step
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(1, 4):
            step(batches.batch(number), number)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_compiled_and_eager_training_on_cuda_are_the_same() -> None:
    losses = []
    for execution in ("eager", "compiled"):
        history = vaezoo.fit(
            small(),
            images(),
            steps=12,
            execution=execution,
            device="cuda",
            precision="fp32",
            **QUICK,
        )
        losses.append(history.column("loss"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_every_label_of_big_data_is_looked_at() -> None:
    x = torch.zeros(120_000, 4)
    y = torch.zeros(120_000, dtype=torch.int64)
    y[60_000:] = 2
    model = vaezoo.create("cvae", num_classes=2, input_shape=(4,), likelihood="bernoulli")
    with pytest.raises(vaezoo.DataError, match=r"labels .* lie in \d\.\.2"):
        vaezoo.fit(model, (x, y), steps=1, validation=0, **QUICK)


def test_a_skipped_step_leaves_running_means_alone() -> None:
    model = small(likelihood={"name": "gaussian", "sigma": "optimal"})
    step = make_step(model)
    step(vaezoo.Batch(images(8)), 0)
    before = weights(model)
    step(vaezoo.Batch(torch.full((8, *SHAPE), 1e30)), 1)
    assert same(weights(model), before)
    step(vaezoo.Batch(images(8)), 2)
    assert not torch.equal(model.decoder.head.variance, before["decoder.head.variance"])


def test_divergence_is_told() -> None:
    with pytest.warns(UserWarning, match=r"training steps were skipped.*lower learning_rate"):
        vaezoo.fit(small(), images(), steps=10, learning_rate=1e20, **QUICK)


class Misfit(torch.nn.Module):
    """An encoder whose q lacks Independent."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> torch.distributions.Distribution:
        return torch.distributions.Normal(x.flatten(1)[:, :3], 1.0)


def test_parts_that_do_not_fit_are_found_before_the_run_begins(tmp_path: Path) -> None:
    with pytest.raises(vaezoo.DataError, match="Independent"):
        train(small(encoder=Misfit()), tmp_path / "run")
    other = vaezoo.create("vae", input_shape=SHAPE, latent_dim=4, network="mlp")
    with pytest.raises(vaezoo.DataError, match="sizes must agree"):
        train(small(encoder=other.encoder), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_frozen_models_and_float64_models() -> None:
    model = small().double()
    history = vaezoo.fit(model, images(), steps=2, **QUICK)
    assert len(history.records) > 0
    assert next(model.parameters()).dtype == torch.float64
    with pytest.raises(vaezoo.OptionError, match="no parameters"):
        vaezoo.fit(small().requires_grad_(False), images(), steps=2, **QUICK)


def test_seeding_a_cpu_model_touches_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(seed: int) -> None:
        raise AssertionError("the GPU's generator was seeded")

    model = small()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    model.sample(2, seed=1)
    vaezoo.fit(model, images(), steps=2, device="cpu", **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 2**63}, "less than"),
        ({"lr_warmup_steps": 3}, "more than the 2 steps"),
        ({"device": "meta"}, "cannot be used"),
        ({"resume": True, "overwrite": True}, "not both"),
        ({"learning_rate": float("inf")}, "finite"),
    ],
)
def test_more_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=message):
        vaezoo.fit(small(), images(), steps=2, **QUICK, **options)


def test_measuring_and_drawing_tell_how_far_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vaezoo.data.progress.PATIENCE", 0.0)
    quick = {**QUICK, "progress": True}
    vaezoo.fit(small(), images(), steps=1, validation=8, out=tmp_path / "run", **quick)
    told = capsys.readouterr().err
    assert "measuring: 8 of 8" in told
    assert "drawing: 8 of 8" in told


def test_counts_may_be_whole_numbers_and_images_may_not() -> None:
    counts = torch.randint(0, 9, (40, 5))
    model = vaezoo.create("vae", input_shape=(5,), latent_dim=2, likelihood="negative-binomial")
    vaezoo.fit(model, counts, steps=1, validation=8, **QUICK)
    with pytest.raises(vaezoo.DataError, match="must be uint8"):
        vaezoo.fit(small(), torch.randint(0, 2, (40, *SHAPE)), steps=1, **QUICK)


def test_convolutions_of_ones_own_are_laid_out_for_speed() -> None:
    first, layer = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 3, padding=1)
    numbers = 4 * images(1).numel()
    encoder = torch.nn.Sequential(first, layer, torch.nn.Flatten(), torch.nn.Linear(numbers, 6))
    model = small(encoder=vaezoo.wrap(encoder))
    assert not layer.weight.is_contiguous(memory_format=torch.channels_last)
    before = layer.weight.clone()
    vaezoo.fit(model, images(), steps=1, **{**QUICK, "learning_rate": 1e-12})
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(layer.weight, before)

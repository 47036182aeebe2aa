"""The trainer: one loop for every variant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vaezoo
from vaezoo.data import TensorSource, TrainingBatches
from vaezoo.data.splits import Data
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.run_folder import RunFolder
from vaezoo.training.step import TrainingStep
from vaezoo.training.validation import validate

SHAPE = (1, 6, 5)
QUICK: dict[str, Any] = {"batch_size": 8, "progress": False}


def small(name: str = "vae", **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create(
        name,
        input_shape=SHAPE,
        latent_dim=3,
        network={"name": "mlp", "hidden": [16]},
        **options,
    )


def images(n: int = 40, seed: int = 0) -> Tensor:
    """Binary images, each of one lit row."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(n, *SHAPE)
    x[torch.arange(n), 0, torch.randint(SHAPE[1], (n,), generator=generator)] = 1
    return x


def weights(model: vaezoo.VAE) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def make_step(model: vaezoo.VAE, **options: Any) -> TrainingStep:
    config = TrainingConfig(**{"steps": 100, "device": "cpu", **options})
    return TrainingStep(model, resolve(config, steps_per_epoch=10))


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


# Runs, checkpoints, resuming.


def train(model: vaezoo.VAE, out: Path | None, **options: Any) -> vaezoo.History:
    arguments = {"steps": 30, "validate_every": 10, "log_every": 4, "binarization": "dynamic"}
    return vaezoo.fit(model, images(48), out=out, **arguments, **QUICK, **options)


class Stop(Exception):
    pass


def interrupt_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Crash at the start of a step."""
    original = TrainingStep.__call__

    def crash(self: TrainingStep, batch: vaezoo.Batch, step: int) -> None:
        if step == number:
            raise Stop
        original(self, batch, step)

    monkeypatch.setattr(TrainingStep, "__call__", crash)


@pytest.mark.parametrize("crash", [3, 10, 17, 29])
@pytest.mark.parametrize("sigma", ["optimal", None])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int, sigma: str | None
) -> None:
    likelihood = {"name": "gaussian", "sigma": sigma} if sigma else "bernoulli"
    whole = small(likelihood=likelihood)
    expected = train(whole, tmp_path / "whole", checkpoint_every=5)
    with monkeypatch.context() as patch:
        interrupt_at(patch, crash)
        with pytest.raises(Stop):
            train(small(likelihood=likelihood), tmp_path / "cut", checkpoint_every=5)
    resumed = small(likelihood=likelihood)
    history = train(resumed, tmp_path / "cut", checkpoint_every=5, resume=True)
    assert same(weights(resumed), weights(whole))

    def figures(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        clocks = ("images_per_second", "seconds", "seconds_left")
        return [{k: v for k, v in r.items() if k not in clocks} for r in records]

    assert figures(history.records) == figures(expected.records)
    assert figures(RunFolder(tmp_path / "cut").records()) == figures(expected.records)
    last = [RunFolder(tmp_path / name).checkpoints / "step-00000030" for name in ("whole", "cut")]
    contents = [(path / "state.safetensors").read_bytes() for path in last]
    assert contents[0] == contents[1]


SCRIPT = """
import sys, torch, vaezoo
torch.set_num_threads(1)
torch.manual_seed(0)
x = (torch.rand(64, 1, 6, 5) > 0.5).float()
model = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=3)
vaezoo.fit(model, x, steps=int(sys.argv[2]), batch_size=8, validate_every=20, log_every=20,
           checkpoint_every=20, out=sys.argv[1], resume="resume" in sys.argv, progress=False)
"""


def run_script(*arguments: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, *arguments]


def test_a_run_killed_with_sigkill_resumes_to_the_same_weights(tmp_path: Path) -> None:
    steps = "4000"
    process = subprocess.Popen(run_script(str(tmp_path / "cut"), steps))
    checkpoints = tmp_path / "cut" / "checkpoints"
    while process.poll() is None and len([*checkpoints.glob("step-*")]) < 2:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    resumed = subprocess.Popen(run_script(str(tmp_path / "cut"), steps, "resume"))
    subprocess.run(run_script(str(tmp_path / "whole"), steps), check=True)
    assert resumed.wait() == 0
    whole, cut = (vaezoo.load(tmp_path / name) for name in ("whole", "cut"))
    assert same(weights(whole), weights(cut))


def test_ctrl_c_saves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = TrainingStep.__call__

    def press(self: TrainingStep, batch: vaezoo.Batch, step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, batch, step)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", press)
        with pytest.raises(KeyboardInterrupt):
            train(small(), tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000008"]
    assert signal.getsignal(signal.SIGINT) == before
    whole, resumed = small(), small()
    train(whole, None)
    train(resumed, tmp_path, resume=True)
    assert same(weights(whole), weights(resumed))


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    train(small(), tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1] / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    resumed, whole = small(), small()
    with pytest.warns(UserWarning, match=r"damaged.*older checkpoint"):
        train(resumed, tmp_path, resume=True)
    train(whole, None)
    assert same(weights(resumed), weights(whole))


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    train(small(), tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(vaezoo.RunError, match=r"already holds a run.*--resume.*--overwrite"):
        train(small(), tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_overwriting_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    train(small(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    vaezoo.fit(small(), images(), steps=2, out=tmp_path, overwrite=True, **QUICK)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert max(r["step"] for r in RunFolder(tmp_path).records()) == 2


def test_resuming_with_another_config_is_refused(tmp_path: Path) -> None:
    train(small(), tmp_path)
    with pytest.raises(vaezoo.RunError, match=r"training.learning_rate was 0.001 and now is 0.01"):
        train(small(), tmp_path, resume=True, learning_rate=0.01)
    with pytest.raises(vaezoo.RunError, match=r"model.options.samples was 1 and now is 2"):
        train(small(samples=2), tmp_path, resume=True)


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    model = small()
    train(model, tmp_path)
    again = small()
    train(again, tmp_path, resume=True)
    assert same(weights(model), weights(again))


def test_a_run_records_what_was_done(tmp_path: Path) -> None:
    model = small()
    train(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"]["variant"] == "vae"
    assert config["training"]["steps"] == 30
    assert config["training"]["binarization"] == "dynamic"
    assert config["training"]["precision"] == "fp32"
    assert config["training"]["execution"] == "eager"
    assert config["data"]["splits"]["validation"]["size"] == 4
    assert config["environment"]["torch"] == torch.__version__
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {"elbo", "reconstruction", "kl", "bits_per_dim"} <= set(figures)
    pictures = {path.name for path in (tmp_path / "samples").iterdir()}
    assert {"reconstructions.png", "samples.png", "traversals.png"} <= pictures
    assert "training_curve.png" in pictures


def test_an_unwritable_folder_gets_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(vaezoo.RunError, match="cannot be written"):
        train(small(), tmp_path / "file" / "run")


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
def test_compiled_and_eager_training_are_the_same() -> None:
    losses = []
    validating = torch.distributions.Distribution._validate_args
    for execution in ("eager", "compiled"):
        history = vaezoo.fit(small(), images(), steps=12, execution=execution, **QUICK)
        losses.append(history.column("loss"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
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


@pytest.mark.gpu
def test_a_run_on_cuda_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 17)
        with pytest.raises(Stop):
            train(small(), tmp_path, device="cuda")
    resumed, whole = small(), small()
    history = train(resumed, tmp_path, device="cuda", resume=True)
    expected = train(whole, None, device="cuda")
    assert history.column("loss") == pytest.approx(expected.column("loss"), rel=1e-4)


# What a tester found.


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


def test_what_is_left_of_a_run_is_no_empty_folder(tmp_path: Path) -> None:
    train(small(), tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(vaezoo.RunError, match="already holds a run"):
        train(small(), tmp_path)


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).locked(),
        pytest.raises(vaezoo.RunError, match="another process"),
    ):
        train(small(), tmp_path)


def test_resuming_on_other_data_of_the_same_size_is_refused(tmp_path: Path) -> None:
    train(small(), tmp_path)
    with pytest.raises(vaezoo.RunError, match=r"data\.fingerprint"):
        vaezoo.fit(
            small(), images(48, seed=9), out=tmp_path, resume=True, steps=30, validate_every=10,
            log_every=4, binarization="dynamic", **QUICK,
        )  # fmt: skip


def test_early_stopping_leaves_a_checkpoint_and_all_records(tmp_path: Path) -> None:
    vaezoo.fit(
        small(), images(80), steps=1000, validate_every=5, patience=2, learning_rate=0.3,
        checkpoint_every=1000, out=tmp_path, **QUICK,
    )  # fmt: skip
    (last,) = (tmp_path / "checkpoints").iterdir()
    assert int(last.name[-8:]) == RunFolder(tmp_path).records()[-1]["step"] < 1000


def test_litter_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    litter = tmp_path / "checkpoints" / ".writing-abc" / "step-00000010"
    train(small(), tmp_path)
    litter.mkdir(parents=True)
    train(small(), tmp_path, resume=True)
    (tmp_path / "figures.json").unlink()
    vaezoo.training.checkpoint.write(
        tmp_path / "checkpoints", 31, vaezoo.training.checkpoint.State({}, {})
    )
    assert not litter.parent.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"3\n", b"{}\n", b'{"step"'])
def test_damaged_lines_of_metrics_are_passed_over(tmp_path: Path, content: bytes) -> None:
    train(small(), tmp_path)
    records = RunFolder(tmp_path).records()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(content)
    train(small(), tmp_path, resume=True)
    assert RunFolder(tmp_path).records() == records


def test_an_incomplete_checkpoint_is_passed_over(tmp_path: Path) -> None:
    train(small(), tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1] / "progress.json"
    progress = json.loads(newest.read_text())
    del progress["names"]
    newest.write_text(json.dumps(progress))
    with pytest.warns(UserWarning, match=r"lacks names.*older checkpoint"):
        train(small(), tmp_path, resume=True)


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

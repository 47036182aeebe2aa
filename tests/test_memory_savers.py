"""Options that save memory and change nothing: accumulate, recompute; and what auto decides."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from training_helpers import QUICK, SHAPE, images, make_step, same, small, train, weights

import vaezoo
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.hardware import fast_in_bf16

BATCH = vaezoo.Batch(images(8))


def stepped(model: vaezoo.VAE, **options: Any) -> dict[str, Tensor]:
    """The weights after three steps on one batch."""
    step = make_step(model.double(), batch_size=8, learning_rate=1e-2, **options)
    batch = vaezoo.Batch(BATCH.x.double(), BATCH.y, BATCH.index)
    for number in range(3):
        step(batch, number)
    return weights(model) | {"loss": torch.tensor(step.figures()["loss"])}


@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch(pieces: int) -> None:
    """Of an autoencoder, which draws nothing."""
    whole, cut = stepped(small("ae")), stepped(small("ae"), accumulate=pieces)
    for name, value in whole.items():
        precise = 1e-6 if name == "loss" else 1e-9  # figures are kept in float32
        torch.testing.assert_close(cut[name], value, rtol=precise, atol=precise)


def test_an_accumulated_run_is_recorded_and_resumed(tmp_path: Any) -> None:
    whole, cut = small(), small()
    train(whole, tmp_path / "whole", accumulate=2, checkpoint_every=10)
    train(cut, tmp_path / "cut", accumulate=2, checkpoint_every=10, steps=20)
    train(cut := small(), tmp_path / "cut", accumulate=2, checkpoint_every=10, resume=True)
    assert same(weights(whole), weights(cut))


@pytest.mark.parametrize("name", ["beta-tc-vae", "factor-vae", "wae-mmd"])
def test_a_loss_of_the_whole_batch_is_not_accumulated(name: str) -> None:
    with pytest.raises(vaezoo.OptionError, match="one of the whole batch"):
        vaezoo.fit(small(name), images(), steps=2, accumulate=2, **QUICK)


def test_a_model_that_learns_from_whole_batches_is_not_accumulated() -> None:
    model = small(likelihood={"name": "gaussian", "sigma": "optimal"})
    with pytest.raises(vaezoo.OptionError, match="learns from whole batches"):
        vaezoo.fit(model, images(), steps=2, accumulate=2, **QUICK)


def test_unequal_pieces_are_refused() -> None:
    with pytest.raises(vaezoo.OptionError, match="take a divisor of 8"):
        vaezoo.fit(small(), images(), steps=2, accumulate=3, **QUICK)


@pytest.mark.parametrize("execution", ["eager", pytest.param("compiled", marks=pytest.mark.slow)])
def test_recomputing_changes_no_weight(execution: str) -> None:
    trained = []
    for recompute in (False, True):
        model = small()
        train(model, None, recompute=recompute, execution=execution)
        trained.append(weights(model))
    for name, value in trained[0].items():
        torch.testing.assert_close(trained[1][name], value, rtol=1e-5, atol=1e-6)


def test_recomputing_keeps_less() -> None:
    def kept(recompute: bool) -> int:
        model = vaezoo.create(
            "vae", input_shape=SHAPE, network={"name": "mlp", "hidden": [64] * 4}
        )
        for module in model.modules():
            if isinstance(module, vaezoo.parts.Folded):
                module.recompute = recompute
        known = {p.data_ptr() for p in model.parameters()}
        sizes: dict[int, int] = {}

        def keep(t: Tensor) -> Tensor:
            if t.data_ptr() not in known:
                sizes[t.data_ptr()] = t.nbytes
            return t

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            loss = -model(images(500)).elbo.mean()
        del loss
        return sum(sizes.values())

    assert kept(recompute=True) < 0.5 * kept(recompute=False)


def test_recomputing_would_count_batches_twice_in_batch_normalisation() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 8), torch.nn.BatchNorm1d(8))
    encoder = vaezoo.wrap(torch.nn.Sequential(net, torch.nn.Linear(8, 6)))
    model = vaezoo.create("vae", input_shape=SHAPE, latent_dim=3, encoder=encoder)
    with pytest.raises(vaezoo.OptionError, match="batch normalisation"):
        vaezoo.fit(model, images(), steps=2, recompute=True, **QUICK)


def test_a_cpu_compiles_only_what_is_long_enough() -> None:
    def chosen(**options: Any) -> str:
        return str(resolve(TrainingConfig(device="cpu", **options), 100).execution)

    assert chosen(steps=10_000, batch_size=128) == "eager"
    assert chosen(steps=40_000, batch_size=128) == "compiled"
    assert chosen(steps=1_000, batch_size=8192) == "compiled"
    assert chosen(epochs=1, batch_size=128) == "eager"
    assert chosen(steps=40_000, batch_size=128, execution="eager") == "eager"


@pytest.mark.parametrize("amx", [True, False])
def test_a_cpu_with_amx_takes_bf16_for_long_runs(
    monkeypatch: pytest.MonkeyPatch, amx: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)
    assert fast_in_bf16("cpu", long=True) is amx
    assert not fast_in_bf16("cpu", long=False)
    long = TrainingConfig(device="cpu", steps=40_000, batch_size=128)
    assert resolve(long, 100).precision == ("bf16" if amx else "fp32")

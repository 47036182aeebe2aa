"""Objectives about q(z): what a batch must be, and that they go where their model goes."""

from __future__ import annotations

import pytest
import torch
from training_helpers import QUICK, images, small

import vaezoo

OF_BATCHES = ["beta-tc-vae", "dip-vae", "factor-vae", "info-vae", "wae-mmd"]


@pytest.mark.parametrize("name", OF_BATCHES)
def test_one_example_is_no_batch(name: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=f"{name} compares.*at least 2"):
        vaezoo.fit(small(name), images(), steps=2, **{**QUICK, "batch_size": 1})


@pytest.mark.parametrize("name", ["factor-vae", "vae-gan"])
def test_critics_are_converted_with_their_model(name: str) -> None:
    model = small(name).double()
    assert {p.dtype for p in model.objective.parameters()} == {torch.float64}
    vaezoo.fit(model, images(), steps=2, **QUICK)
    assert {p.dtype for p in model.objective.parameters()} == {torch.float64}
    assert model.float().objective is model.objective
    assert {p.dtype for p in model.objective.parameters()} == {torch.float32}

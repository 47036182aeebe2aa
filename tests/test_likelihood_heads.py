"""Heads of the likelihoods: shapes, what is learned, and which data and options they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from likelihood_helpers import COUNTS, EVERY, data_for, make_head

import vaezoo
from vaezoo.registry import lookup
from vaezoo.registry.specs import LikelihoodSpec

SHAPE = (2, 3, 5)


@pytest.mark.parametrize("name", EVERY)
def test_heads_take_any_leading_dimensions(name: str) -> None:
    head = make_head(name, SHAPE)
    parameters = torch.randn(7, 6, *head.input_shape)
    px, x = head(parameters), data_for(name, 6, SHAPE)
    assert (px.batch_shape, px.event_shape) == ((7, 6), SHAPE)
    assert px.mean.shape == (7, 6, *SHAPE)
    assert px.log_prob(x).shape == (7, 6)
    # Each example is scored by its own parameters, and each value of it by its own.
    alone = head(parameters[4:5, 2:3]).log_prob(x[2:3])
    assert torch.allclose(px.log_prob(x)[4, 2], alone[0, 0], rtol=1e-5)
    again = px.expand((3, 7, 6)).log_prob(x)
    assert torch.equal(again[1], px.log_prob(x))


@pytest.mark.parametrize("name", ["discretized-logistic", "categorical", *COUNTS])
def test_each_value_has_its_own_outputs_of_the_network(name: str) -> None:
    head, x = make_head(name, SHAPE), data_for(name, 1, SHAPE)
    parameters = torch.zeros(1, *head.input_shape, requires_grad=True)
    head(parameters).base_dist.log_prob(x)[0, 1, 2, 3].backward()
    touched = parameters.grad[0].unflatten(0, (-1, SHAPE[0])).abs().sum(0)
    assert touched.nonzero().tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(("name", "option"), [("laplace", "scale"), ("gaussian", "sigma")])
def test_a_scale_is_shared_elementwise_or_predicted(name: str, option: str) -> None:
    for kind, shape in {"learned": (), "elementwise": SHAPE}.items():
        head = make_head(name, SHAPE, value=0.3, **{option: kind})
        assert [tuple(p.shape) for p in head.parameters()] == [shape]
        assert head.input_shape == SHAPE
        assert torch.allclose(
            head(torch.zeros(1, *SHAPE)).base_dist.scale, torch.tensor(0.3), rtol=1e-5
        )
    assert not [*make_head(name, SHAPE, **{option: "fixed"}).parameters()]
    predicted = make_head(name, SHAPE, **{option: "predicted"})
    assert not [*predicted.parameters()]
    assert predicted.input_shape == (4, 3, 5)


def test_dispersion_is_a_parameter_for_each_gene_unless_the_network_predicts_it() -> None:
    for name, others in {"negative-binomial": 1, "zero-inflated-negative-binomial": 2}.items():
        head = make_head(name, (7,), value=2.5)
        assert [tuple(p.shape) for p in head.parameters()] == [(7,)]
        assert head.input_shape == (7 * others,)
        assert torch.allclose(head.log_r(torch.zeros(1, 7 * others))[-1].exp(), torch.tensor(2.5))
        predicted = make_head(name, (7,), dispersion="predicted")
        assert predicted.input_shape == (7 * (others + 1),)


# Data outside of the support.

OFF = {
    "continuous-bernoulli": [(1.2, r"needs data in \[0, 1\]"), (-0.1, "scale them")],
    "discretized-logistic": [
        (0.5, r"grid k/255, k = 0\.\.255; these hold 0\.5: .*round\(\) / 255"),
        (1.5, r"\[0, 1\]"),
        (math.nan, r"\[0, 1\]"),
    ],
    "discretized-logistic-mixture": [(0.5, "grid k/255")],
    "categorical": [(0.5, "grid k/255")],
    "negative-binomial": [
        (-1.0, "these hold -1"),
        (1 / 255, "uint8 is taken for pixels"),
        (2.0**25, r"2\^24"),
        (math.nan, "counts"),
    ],
    "zero-inflated-negative-binomial": [(0.5, "raw counts")],
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [(name, value, message) for name, cases in OFF.items() for value, message in cases],
)
def test_data_outside_of_the_support_are_refused(name: str, value: float, message: str) -> None:
    x = data_for(name, 3, SHAPE)
    head = make_head(name, SHAPE)
    head.check(x)
    x[1, 0, 2, 3] = value
    with pytest.raises(vaezoo.DataError, match=message):
        head.check(x)


def test_uint8_images_lie_on_the_grid_in_either_precision() -> None:
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    for dtype in (torch.float32, torch.float64):
        make_head("categorical", (1, 16, 16)).check(x.to(dtype) / 255)
        make_head("categorical", (1, 16, 16)).check((x.float() / 255).to(dtype))
    with pytest.raises(vaezoo.DataError, match="of 255 levels"):
        make_head("categorical", (1, 16, 16), levels=255).check(x.float() / 255)


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        ({"name": "categorical", "levels": 1}, "levels must lie in 2"),
        ({"name": "discretized-logistic", "levels": 10**6}, "levels must lie in 2"),
        ({"name": "discretized-logistic", "value": 0.0}, "value, a scale, must lie in"),
        ({"name": "discretized-logistic-mixture", "components": 0}, "components must be at"),
        ({"name": "laplace", "scale": "predict"}, "Did you mean 'predicted'"),
        ({"name": "laplace", "value": -1.0}, "value, a scale, must lie in"),
        ({"name": "negative-binomial", "value": 0.0}, "inverse dispersion, must lie in"),
        ({"name": "negative-binomial", "dispersion": "gene"}, "elementwise"),
    ],
)
def test_wrong_options(likelihood: dict[str, Any], message: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=message):
        vaezoo.create("vae", input_shape=(4,), likelihood=likelihood)


def test_every_likelihood_is_tested_here_and_documented() -> None:
    assert {*lookup.names(LikelihoodSpec)} == {*EVERY}
    page = (Path(__file__).parents[1] / "docs" / "likelihoods.md").read_text()
    for name in EVERY:
        assert f"| `{name}` |" in page
        for option in vaezoo.describe(name).options:
            assert f"`{option.name}`" in page

"""Priors over discrete codes: probabilities, draws, and what each place sees."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

import vaezoo
from vaezoo.priors import Autoregressive, AutoregressivePrior, UniformCodes

GRID, N = (2, 2), 3
OPTIONS = Autoregressive(width=8, layers=2, heads=2)


def learned(grid: tuple[int, ...] = GRID, num_codes: int = N) -> AutoregressivePrior:
    """A prior far from uniform, in float64."""
    torch.manual_seed(0)
    prior = AutoregressivePrior(num_codes, grid, OPTIONS).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return prior


def every_grid() -> Tensor:
    """All 81 grids of 2x2 codes out of three."""
    return torch.tensor([*itertools.product(range(N), repeat=4)]).reshape(-1, *GRID)


@pytest.mark.parametrize("prior", [UniformCodes(N, GRID).double(), learned()], ids=["u", "a"])
def test_the_probabilities_of_all_grids_sum_to_one(prior: vaezoo.Prior) -> None:
    log_prob = prior().log_prob(every_grid())
    assert log_prob.shape == (81,)
    assert log_prob.exp().sum().item() == pytest.approx(1.0, abs=1e-6)


def test_the_learned_prior_starts_as_the_uniform_one() -> None:
    prior = AutoregressivePrior(N, (3, 2), OPTIONS)
    code = torch.randint(N, (5, 4, 3, 2))
    uniform = UniformCodes(N, (3, 2))().log_prob(code)
    assert torch.allclose(uniform, torch.full((5, 4), -6 * math.log(N)))
    assert torch.allclose(prior().log_prob(code), uniform)


@pytest.mark.parametrize("prior", [UniformCodes(N, GRID).double(), learned()], ids=["u", "a"])
def test_draws_are_as_frequent_as_they_are_probable(prior: vaezoo.Prior) -> None:
    torch.manual_seed(1)
    draws = 20_000
    with torch.no_grad():
        code = prior().sample((draws,))
        probs = prior().log_prob(every_grid()).exp()
    assert code.shape == (draws, *GRID)
    place = (code.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1)  # in every_grid
    share = torch.bincount(place, minlength=81).double() / draws
    error = (probs * (1 - probs) / draws).sqrt()
    assert ((share - probs).abs() <= 4.5 * error + 1e-9).all()  # 81 at once
    chi_squared = ((share - probs).square() / probs).sum() * draws
    assert abs(chi_squared - 80) < 4 * math.sqrt(160)


def test_a_place_sees_those_before_it_and_no_other() -> None:
    network = learned((7,)).network
    embedded = torch.randn(1, 7, 8, dtype=torch.float64, requires_grad=True)
    seen = network.blocks(embedded + network.places)
    for place in range(7):
        (gradient,) = torch.autograd.grad(
            seen[0, place].square().sum(), embedded, retain_graph=True
        )
        reached = gradient[0].abs().sum(1) > 0
        assert reached.tolist() == [other <= place for other in range(7)]


def test_the_logits_of_a_code_are_the_same_whatever_comes_from_it_on() -> None:
    network = learned((7,)).network
    code = torch.randint(N, (4, 7))
    whole = network(code[:, :-1])
    for place in range(7):
        changed = code.clone()
        changed[:, place:] = (changed[:, place:] + 1) % N
        assert torch.allclose(network(changed[:, :-1])[:, place], whole[:, place], rtol=1e-12)
        assert torch.allclose(network(code[:, :place])[:, -1], whole[:, place], rtol=1e-12)


def test_one_code_to_choose_from_costs_nothing() -> None:
    code = torch.zeros(2, *GRID, dtype=torch.int64)
    for prior in (UniformCodes(1, GRID), learned(num_codes=1)):
        assert not prior().log_prob(code).any()
        assert torch.equal(prior().sample((2,)), code)


@pytest.mark.parametrize("prior", ["uniform-codes", "autoregressive"])
def test_continuous_latents_refuse_them(prior: str) -> None:
    with pytest.raises(vaezoo.OptionError, match="over discrete codes, and the latents of vae"):
        vaezoo.create("vae", prior=prior)


@pytest.mark.parametrize("variant", ["vq-vae", "fsq-vae", "gumbel-vae"])
def test_codes_refuse_a_continuous_prior(variant: str) -> None:
    with pytest.raises(vaezoo.OptionError, match="latents are discrete codes"):
        vaezoo.create(variant, prior="mixture")


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"width": 10, "heads": 4}, "not shared equally"), ({"layers": 0}, "must be positive")],
)
def test_sizes_that_make_no_network_are_refused(options: dict[str, int], reason: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=reason):
        vaezoo.create("vq-vae", prior={"name": "autoregressive", **options})

"""log q(z) from a batch, against the definition in Chen et al. 2018, appendix C."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

import vaezoo
from vaezoo import aggregate
from vaezoo.aggregate import log_aggregate, log_q_by_dimension, log_weights

K, B, D, N = 2, 4, 3, 6


def posteriors(n: int, shape: tuple[int, ...] = (D,)) -> Independent:
    generator = torch.Generator().manual_seed(0)
    mean = 2 * torch.randn(n, *shape, generator=generator).double()
    sigma = 0.5 + torch.rand(n, *shape, generator=generator).double()
    return Independent(Normal(mean, sigma), len(shape))


def of(q: Independent, rows: list[int]) -> Independent:
    return Independent(Normal(q.base_dist.loc[rows], q.base_dist.scale[rows]), 1)


def papers_weights(own: int, others: tuple[int, ...], total: int) -> dict[int, float]:
    """Of f(z, n*, B) in appendix C.2: 1/N q(z|n*), 1/M q(z|n_m), and (N-M)/(NM) for the last."""
    m = len(others)
    weights = dict.fromkeys(others, 1 / m)
    return {**weights, own: 1 / total, others[-1]: (total - m) / (total * m)}


def test_stratified_weights_are_the_papers_averaged_over_which_example_comes_last() -> None:
    found = log_weights(B, torch.tensor(float(N)).double(), "stratified").exp()
    expected = torch.zeros(B, B).double()
    for own in range(B):
        orders = [*itertools.permutations([n for n in range(B) if n != own])]
        for order in orders:
            for n, weight in papers_weights(own, order, N).items():
                expected[own, n] += weight / len(orders)
    assert torch.allclose(found, expected, rtol=1e-14)
    assert torch.allclose(found.diagonal(), torch.full((B,), 1 / N).double())
    assert torch.allclose(found.sum(1), torch.ones(B).double())


def test_weighted_weights_are_those_of_equation_3() -> None:
    found = log_weights(B, torch.tensor(float(N)).double(), "weighted").exp()
    assert torch.allclose(found, torch.full((B, B), 1 / (N * B)).double())


def test_the_stratified_estimate_of_q_is_unbiased() -> None:
    """Over all batches without replacement that hold the draw's own example."""
    q = posteriors(N)
    z = of(q, [2]).sample((K,))  # (K, 1, D), of example 2
    joint, product = [], []
    for others in itertools.combinations([0, 1, 3, 4, 5], B - 1):
        batch = of(q, [2, *others])
        draws = torch.cat([z, torch.zeros(K, B - 1, D).double()], 1)
        log_q, _ = log_aggregate(draws, batch, torch.tensor(float(N)))
        joint.append(log_q[:, 0].exp())
        each = [
            log_aggregate(draws[..., d : d + 1], part(batch, d), torch.tensor(float(N)))
            for d in range(D)
        ]
        product.append(torch.stack([log[:, 0].exp() for log, _ in each], -1))
    exact = q.log_prob(z).exp().mean(-1)
    assert torch.allclose(torch.stack(joint).mean(0), exact, rtol=1e-12)
    marginals = q.base_dist.log_prob(z).exp().mean(1)  # (K, D)
    assert torch.allclose(torch.stack(product).mean(0), marginals, rtol=1e-12)


def part(q: Independent, d: int) -> Independent:
    return Independent(Normal(q.base_dist.loc[:, d : d + 1], q.base_dist.scale[:, d : d + 1]), 1)


@pytest.mark.parametrize("values", [2**22, 7])
def test_where_the_batch_is_the_data_set_it_is_exact(
    values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "VALUES", values)  # 7: draw by draw
    q = posteriors(N)
    z = q.sample((K,))
    joint, marginals = log_aggregate(z, q, torch.tensor(float(N)))
    each = q.base_dist.log_prob(z.unsqueeze(2))  # (K, N, N, D)
    assert torch.allclose(joint, each.sum(-1).logsumexp(2) - math.log(N))
    assert torch.allclose(marginals, (each.logsumexp(2) - math.log(N)).sum(-1))


def test_latents_of_any_shape_and_a_batch_of_one() -> None:
    q = posteriors(B, (2, 5))
    z = q.sample((K,))
    flat = Independent(Normal(q.base_dist.loc.flatten(1), q.base_dist.scale.flatten(1)), 1)
    total = torch.tensor(float(N))
    for found, expected in zip(
        log_aggregate(z, q, total), log_aggregate(z.flatten(2), flat, total), strict=True
    ):
        assert found.shape == (K, B)
        assert torch.allclose(found, expected)
    alone = posteriors(1)
    log_q, _ = log_aggregate(z := alone.sample((K,)), alone, total)
    assert torch.allclose(log_q, alone.log_prob(z) - math.log(N))


def test_a_joint_posterior_has_no_density_of_its_dimensions() -> None:
    joint = MultivariateNormal(torch.zeros(B, D), torch.eye(D))
    assert log_q_by_dimension(torch.zeros(K, D), joint) is None
    scalars = Normal(torch.zeros(B), 1.0)
    found: Tensor | None = log_q_by_dimension(torch.zeros(K), scalars)
    assert found is not None
    assert found.shape == (K, B, 1)


def test_several_groups_of_latents_are_refused() -> None:
    site = vaezoo.Site(posteriors(B), posteriors(1), torch.zeros(K, B, D))
    trace = vaezoo.Trace(torch.zeros(B, 1), Normal(torch.zeros(K, B), 1.0), (site, site))
    with pytest.raises(vaezoo.OptionError, match="one group of latents, and this model has 2"):
        aggregate.only_site(trace, "beta-tc-vae")

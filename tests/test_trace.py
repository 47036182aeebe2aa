"""Sites and traces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

import vaezoo
from vaezoo.trace import closed_form_kl

K, B, D = 4, 3, 5


def normals(*shape: int) -> Distribution:
    return Independent(Normal(torch.randn(*shape), torch.rand(*shape) + 0.1), 1)


def test_closed_form_agrees_with_torch() -> None:
    q, p = normals(B, D), normals(D)
    assert torch.allclose(closed_form_kl(q, p), kl_divergence(q, p))


def test_closed_form_is_expanded_over_samples() -> None:
    q, p = normals(B, D), normals(D)
    site = vaezoo.Site(q, p, q.rsample((K,)))
    assert site.kl.shape == (K, B)
    assert torch.equal(site.kl[0], site.kl[-1])


def test_without_a_closed_form_the_kl_is_log_q_minus_log_p() -> None:
    q, p = normals(B, D), Independent(Laplace(torch.zeros(D), torch.ones(D)), 1)
    q = Independent(LogNormal(torch.zeros(B, D), torch.ones(B, D)), 1)
    site = vaezoo.Site(q, p, q.rsample((K,)))
    assert site.kl_kind == "monte-carlo"
    assert torch.equal(site.kl, site.log_q - site.log_p)


def test_a_child_class_does_not_inherit_its_parents_formula() -> None:
    class Truncated(Normal):
        """Not a normal at all, as far as its KL goes."""

    q = Truncated(torch.zeros(B), torch.ones(B))
    assert closed_form_kl(q, Normal(0.0, 1.0)) is None
    assert kl_divergence(q, Normal(0.0, 1.0)) is not None  # torch would have used the parent's


def test_a_formula_registered_by_a_plugin_is_found() -> None:
    class Mine(Normal):
        pass

    @vaezoo.register_kl(Mine, Normal)
    def _kl(q: Mine, p: Normal) -> Tensor:
        return torch.full_like(q.loc, 3.0)

    q = Independent(Mine(torch.zeros(B, D), torch.ones(B, D)), 1)
    p = Independent(Normal(torch.zeros(D), torch.ones(D)), 1)
    assert torch.equal(closed_form_kl(q, p), torch.full((B,), 3.0 * D))


def test_multivariate_normals_keep_their_closed_form() -> None:
    q = MultivariateNormal(torch.zeros(B, D), torch.eye(D) * 2)
    p = MultivariateNormal(torch.zeros(D), torch.eye(D))
    assert vaezoo.Site(q, p, q.rsample((K,))).kl_kind == "analytic"


def test_log_q_path_has_the_value_of_log_q_and_no_score_gradient() -> None:
    loc = torch.randn(B, D, requires_grad=True)
    scale = (torch.rand(B, D) + 0.5).requires_grad_()
    q = Independent(Normal(loc, scale), 1)
    z = q.rsample((K,))
    site = vaezoo.Site(q, normals(D), z)
    assert torch.allclose(site.log_q_path, site.log_q)
    (path,) = torch.autograd.grad(site.log_q_path.sum(), loc, retain_graph=True)
    # d log q / dz * dz / dloc = -(z - loc) / scale^2, summed over samples.
    assert torch.allclose(path, (-(z - loc) / scale**2).sum(0), atol=1e-5)
    (full,) = torch.autograd.grad(site.log_q.sum(), loc)
    assert torch.allclose(full, torch.zeros_like(full), atol=1e-5)  # the score cancels it here


def test_given_log_q_and_code_are_used() -> None:
    q, p = normals(B, D), normals(D)
    z = q.rsample((K,))
    log_q, code = torch.randn(K, B), torch.randn(K, B, D)
    site = vaezoo.Site(q, p, z, log_q=log_q, code=code)
    assert site.log_q is log_q
    assert torch.equal(site.log_p, p.log_prob(code))


def two_sites() -> vaezoo.Trace:
    x = torch.randn(B, 2)
    px = Independent(Normal(torch.randn(K, B, 2), 1.0), 1)
    q1, q2 = normals(B, D), normals(K, B, 2)
    sites = (
        vaezoo.Site(q1, normals(D), q1.rsample((K,)), name="top"),
        vaezoo.Site(q2, normals(K, B, 2), q2.rsample(), name="bottom"),
    )
    return vaezoo.Trace(x, px, sites, penalties={"commitment": torch.full((B,), 0.25)})


def test_a_trace_of_two_sites_sums_them() -> None:
    trace = two_sites()
    top, bottom = trace.sites
    assert trace.log_px.shape == trace.kl.shape == trace.log_w.shape == (K, B)
    assert torch.allclose(trace.kl, top.kl + bottom.kl)
    expected = trace.log_px + top.log_p + bottom.log_p - top.log_q - bottom.log_q
    assert torch.allclose(trace.log_w, expected, atol=1e-5)


def test_the_elbo_objective_scores_two_sites_and_penalties() -> None:
    trace = two_sites()
    terms = vaezoo.ELBO(beta=2.0).score(trace, {"beta": torch.tensor(2.0)})
    assert torch.allclose(terms.loss, (-trace.log_px + 2 * trace.kl).mean(0) + 0.25)
    assert {"kl/top", "kl/bottom", "commitment"} <= set(terms.logs)


def test_quantities_are_derived_once() -> None:
    trace = two_sites()
    assert trace.log_px is trace.log_px
    assert trace.sites[0].kl is trace.sites[0].kl


@pytest.mark.parametrize("bound", ["exact", "relaxed", "none"])
def test_a_trace_says_what_bound_it_is(bound: str) -> None:
    model = vaezoo.create("vae")
    model.bound = bound
    assert model(torch.rand(B, 1, 28, 28)).bound == bound
    if bound == "none":
        with pytest.raises(vaezoo.NoBoundError, match="no bound"):
            model.elbo(torch.rand(B, 1, 28, 28))
        with pytest.raises(vaezoo.NoBoundError, match="no bound"):
            model.log_likelihood(torch.rand(B, 1, 28, 28), samples=2)

"""Flows: log-determinants against autograd's Jacobian, inverses, and where they start."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions.transforms import _InverseTransform

import vaezoo
from vaezoo.flows import Affine, Autoregressive, Coupling, Flow, Monotone, Transformed
from vaezoo.heads import FlowHead, PredictedSigma
from vaezoo.heads.gaussian import normal
from vaezoo.priors.flow import FlowPrior

if find_spec("zuko") is None:  # to import it plainly would change torch
    pytest.skip("needs zuko", allow_module_level=True)
from vaezoo.splines import Spline, zuko_transforms

K, B, C = 3, 4, 2
KINDS = [(Autoregressive, "affine"), (Coupling, "affine"), (Coupling, "spline")]
KINDS += [(Autoregressive, "spline")]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k[0].__name__}-{k[1]}")


def a_flow(kind: Any, dim: int = 5, context_dim: int = C, *, random: bool = True) -> Flow:
    torch.manual_seed(0)
    form, function = kind
    monotone: Monotone = Affine() if function == "affine" else Spline(bins=4)
    flow = Flow(form, monotone, dim=dim, context_dim=context_dim, transforms=3, hidden=11)
    if random:
        disturb(flow)
    return flow.double()


def disturb(module: nn.Module, by: float = 0.3) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by * torch.randn_like(parameter))


def log_abs_det(function: Any, x: Tensor) -> Tensor:
    """By autograd, for one vector x (D,)."""
    return torch.linalg.slogdet(torch.autograd.functional.jacobian(function, x)).logabsdet


@every_kind
def test_the_log_determinant_is_that_of_autograds_jacobian(kind: Any) -> None:
    flow = a_flow(kind)
    x, h = 2 * torch.randn(B, 5).double(), torch.randn(B, C).double()
    _, log_det = flow(x, h)
    expected = [log_abs_det(lambda v, c=c: flow(v, c)[0], v) for v, c in zip(x, h, strict=True)]
    assert torch.allclose(log_det, torch.stack(expected), atol=1e-6, rtol=0)
    assert log_det.abs().min() > 1e-3  # it is not the identity that was looked at


@every_kind
@pytest.mark.parametrize("dim", [2, 5])
def test_the_inverse_leads_back_and_tells_the_same_log_determinant(kind: Any, dim: int) -> None:
    flow = a_flow(kind, dim)
    x, h = 3 * torch.randn(K, B, dim).double(), torch.randn(B, C).double()  # some outside a spline
    y, log_det = flow(x, h)
    back, same = flow.inverse(y, h)
    assert torch.allclose(back, x, atol=1e-6)
    assert torch.allclose(same, log_det, atol=1e-6)


@every_kind
def test_a_flow_starts_as_the_identity(kind: Any) -> None:
    x, h = torch.randn(K, B, 5).double(), torch.randn(B, C).double()
    y, log_det = a_flow(kind, random=False)(x, h)
    assert torch.allclose(y, x, atol=1e-9)
    assert torch.allclose(log_det, torch.zeros(K, B).double(), atol=1e-9)


@every_kind
def test_log_q_is_the_bases_less_the_jacobians_log_determinant(kind: Any) -> None:
    flow = a_flow(kind)
    head = FlowHead((5,), flow, C)
    parameters = torch.randn(B, 10 + C).double()
    q = head(parameters)
    z = q.rsample((K,))
    fast, fresh = q.log_prob(z), q.log_prob(z.clone())  # of the pass that drew it, and by pulling
    base = PredictedSigma((5,))(parameters[:, :10])
    u, _ = flow.inverse(z, parameters[:, 10:])
    expected = base.log_prob(u)
    for k in range(K):
        for b in range(B):
            c = parameters[b, 10:]
            expected[k, b] = expected[k, b] - log_abs_det(lambda v, c=c: flow(v, c)[0], u[k, b])
    assert torch.allclose(fast, expected, atol=1e-6, rtol=0)
    assert torch.allclose(fresh, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("event", [(5,), (2, 1, 3)])
@pytest.mark.parametrize("kind", KINDS[:3:2], ids=["maf", "nsf"])
def test_the_priors_density_is_the_change_of_variables(kind: Any, event: tuple[int, ...]) -> None:
    size = torch.Size(event).numel()
    prior = FlowPrior(event, a_flow(kind, size, 0)).double()
    z = torch.randn(K, B, *event).double()
    expected = []
    for v in z.reshape(-1, size):
        u = prior.flow(v)[0]
        base = -0.5 * (u.square() + torch.log(torch.tensor(2 * torch.pi))).sum()
        expected.append(base + log_abs_det(lambda v: prior.flow(v)[0], v))
    assert torch.allclose(prior().log_prob(z).flatten(), torch.stack(expected), atol=1e-6)
    drawn = prior().sample((7,))
    assert drawn.shape == (7, *event)
    fresh = prior().log_prob(drawn)
    p = prior()
    torch.manual_seed(1)
    z = p.rsample((7,))
    assert torch.allclose(p.log_prob(z), p.log_prob(z.clone()), atol=1e-6)
    assert fresh.isfinite().all()


@every_kind
def test_a_density_integrates_to_one(kind: Any) -> None:
    flow = a_flow(kind, 2, 0, random=False)
    disturb(flow, 0.15)
    prior = FlowPrior((2,), flow).double()
    line = torch.linspace(-25, 25, 801).double()
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)
    with torch.no_grad():
        density = prior().log_prob(grid).exp()
    total = torch.trapezoid(torch.trapezoid(density, line), line).item()
    assert total == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("name", ["iaf-vae", "nsf-vae"])
def test_at_the_start_the_posterior_is_the_vaes(name: str) -> None:
    model = vaezoo.create(name, latent_dim=5).double()
    network, head = model.encoder.network, model.encoder.head
    plain = vaezoo.NetworkEncoder(nn.Sequential(network, First(10)), PredictedSigma((5,)))
    vae = vaezoo.VAE(plain, model.decoder, model.prior)
    x = torch.rand(B, 1, 28, 28).double().round()
    torch.manual_seed(3)
    bent = model(x, samples=K)
    torch.manual_seed(3)
    straight = vae(x, samples=K)
    assert torch.allclose(bent.log_w, straight.log_w, atol=1e-6)  # the bound of K draws, too
    assert torch.allclose(model.embed(x), vae.embed(x), atol=1e-9)
    assert head.context_dim == 64


class First(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.n]


@pytest.mark.parametrize("name", ["iaf-vae", "nsf-vae"])
def test_embed_pushes_the_bases_mean_forward_and_free_bits_say_why_not(name: str) -> None:
    model = vaezoo.create(name, latent_dim=5, input_shape=(1, 12, 20))
    disturb(model)
    x = torch.rand(B, 1, 12, 20)
    model.eval()
    q = model.encode(x)
    assert torch.allclose(model.embed(x), q.push(q.base.mean)[0], atol=1e-5)
    assert not torch.allclose(model.embed(x), q.base.mean, atol=1e-2)
    site = model(x, samples=2).sites[0]
    assert site.kl_kind == "monte-carlo"
    assert site.kl_by_dimension is None
    with pytest.raises(vaezoo.OptionError, match="no sum over these"):
        vaezoo.ELBO(free_bits=0.1).check(model(x))


def test_the_path_gradient_is_the_whole_less_the_score() -> None:
    head = FlowHead((5,), a_flow(KINDS[0]), C)
    parameters = torch.randn(B, 10 + C).double().requires_grad_()
    q = head(parameters)
    site = vaezoo.Site(
        q, normal(torch.zeros(5).double(), torch.ones(5).double(), 1), q.rsample((K,))
    )
    whole = torch.autograd.grad(site.log_q.sum(), parameters, retain_graph=True)[0]
    score = torch.autograd.grad(q.log_prob(site.z.detach()).sum(), parameters, retain_graph=True)[
        0
    ]
    path = torch.autograd.grad(site.log_q_path.sum(), parameters)[0]
    assert torch.allclose(path, whole - score, atol=1e-6)
    assert score.abs().max() > 1e-3


def test_what_was_drawn_without_gradient_is_scored_with() -> None:
    q = FlowHead((5,), a_flow(KINDS[2]), C)(torch.randn(B, 10 + C).double())
    assert q.log_prob(q.sample((K,))).requires_grad


def test_vectors_alone_and_two_latents_for_coupling() -> None:
    for name in ("iaf-vae", "nsf-vae"):
        with pytest.raises(vaezoo.OptionError, match="over vectors"):
            vaezoo.create(name, network="resnet", latent_shape=(2, 3, 5), input_shape=(1, 12, 20))
    with pytest.raises(vaezoo.OptionError, match="at least 2"):
        vaezoo.create("nsf-vae", latent_dim=1)
    assert vaezoo.create("iaf-vae", latent_dim=1).sample(2).shape == (2, 1, 28, 28)


def test_importing_zuko_changes_no_setting_of_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Distribution._validate_args, Distribution.__dict__["arg_constraints"]
    name = _InverseTransform.__name__
    for module in [name for name in sys.modules if name.split(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, module)
    zuko_transforms()
    assert (Distribution._validate_args, Distribution.__dict__["arg_constraints"]) == before
    assert _InverseTransform.__name__ == name
    with pytest.raises(ValueError, match="constraint"):
        torch.distributions.Normal(0.0, -1.0)


def test_transformed_has_no_weak_reference_and_a_batch_shape() -> None:
    q = FlowHead((5,), a_flow(KINDS[0]), C)(torch.randn(B, 10 + C).double())
    assert isinstance(q, Transformed)
    assert (tuple(q.batch_shape), tuple(q.event_shape)) == ((B,), (5,))
    assert q.rsample((K,)).shape == (K, B, 5)

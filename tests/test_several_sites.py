"""Models of a forward of their own: several groups of latents, and what they tell after a step.

B batch, K importance samples.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from training_helpers import QUICK, SHAPE, images, make_step

import vaezoo
from vaezoo.assembly import Parts, SharedOptions
from vaezoo.heads import OptimalSigma, PredictedSigma
from vaezoo.objectives import figures
from vaezoo.trace import closed_form_kl, draw

K, B, LOWER, UPPER = 4, 5, 7, 3


def normals(*shape: int) -> Distribution:
    return Independent(Normal(torch.randn(*shape), torch.rand(*shape) + 0.1), 1)


class TwoLevel(vaezoo.VAE):
    """q(z1|x) q(z2|z1), p(z2) p(z1|z2) p(x|z1)."""

    def __init__(self, base: vaezoo.VAE) -> None:
        super().__init__(base.encoder, base.decoder, vaezoo.priors.StandardNormal((UPPER,)))
        self.up = self.between(LOWER, UPPER)
        self.down = self.between(UPPER, LOWER)

    @staticmethod
    def between(inputs: int, outputs: int) -> nn.Module:
        network = vaezoo.Folded(nn.Linear(inputs, 2 * outputs), event_ndim=1)
        return vaezoo.NetworkEncoder(network, PredictedSigma((outputs,)))

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        q1 = self.encoder(x, y)
        z1 = draw(q1, samples)
        q2 = self.up(z1)
        z2 = draw(q2, samples)
        sites = (
            vaezoo.Site(q1, self.down(z2), z1, name="z1"),
            vaezoo.Site(q2, self.prior(y), z2, name="z2"),
        )
        return vaezoo.Trace(x, self.decoder(z1, y), sites, bound=self.bound)

    def generate(self, n: int, y: Tensor | None = None) -> Distribution:
        z2 = self.sample_prior(n, y)
        return self.decoder(self.down(z2).sample(), y)  # type: ignore[no-any-return]


def two_level(cls: type[TwoLevel] = TwoLevel, **options: Any) -> TwoLevel:
    torch.manual_seed(0)
    base = vaezoo.create("vae", input_shape=SHAPE, latent_dim=LOWER, **options)
    return cls(base)


def test_the_first_group_is_drawn_k_times_and_the_next_once_for_each() -> None:
    assert draw(normals(B, 2), K).shape == (K, B, 2)
    assert draw(normals(K, B, 2), K).shape == (K, B, 2)


def test_no_draws_are_the_means() -> None:
    q, below = normals(B, 2), normals(1, B, 2)
    assert torch.equal(draw(q, 0), q.mean.unsqueeze(0))
    assert torch.equal(draw(below, 0), below.mean)


def test_codes_are_the_means_of_all_groups_and_reconstructions_those_at_them() -> None:
    model, x = two_level(), images(B)
    codes = model.embed(x)
    assert codes.shape == (B, LOWER + UPPER)
    z1 = model.encoder(x).mean
    assert torch.equal(codes, torch.cat([z1, model.up(z1).mean], 1))
    assert torch.equal(model.reconstruct(x), model.decoder(z1).mean)


def test_samples_come_from_the_top() -> None:
    model = two_level()
    assert model.sample(6, seed=1).shape == (6, *SHAPE)
    assert torch.equal(model.sample(6, seed=1), model.sample(6, seed=1))
    with torch.no_grad():
        model.down.network.inner.bias[:LOWER] += 20  # type: ignore[union-attr,operator]
    torch.manual_seed(0)
    assert (model.down(model.sample_prior(B)).mean > 5).all()
    assert not torch.equal(model.sample(6, seed=1), two_level().sample(6, seed=1))


def test_more_samples_than_a_chunk_are_as_many() -> None:
    assert vaezoo.create("vae", input_shape=(3,), latent_dim=2).sample(2500).shape == (2500, 3)


@pytest.mark.parametrize("method", ["encode", "decode", "traverse", "interpolate"])
def test_methods_of_one_group_say_that_there_are_two(method: str) -> None:
    model, x = two_level(), images(B)
    arguments = {"decode": (torch.zeros(B, UPPER),), "interpolate": (x, x), "traverse": (x[:1],)}
    with pytest.raises(vaezoo.LatentsError, match=f"{method} is for .* TwoLevel has 2"):
        getattr(model, method)(*arguments.get(method, (x,)))


def test_without_generate_samples_are_refused() -> None:
    class Silent(TwoLevel):
        generate = vaezoo.VAE.generate

    with pytest.raises(vaezoo.LatentsError, match=r"must override generate\(n, y\)"):
        two_level(Silent).sample(3)


def test_a_forward_that_knows_no_means_is_refused() -> None:
    class Drawing(TwoLevel):
        def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
            q1 = self.encoder(x, y)
            z1 = q1.rsample((samples,))
            sites = (
                vaezoo.Site(q1, self.prior(y), z1),
                vaezoo.Site(q1, self.prior(y), z1, name="other"),
            )
            return vaezoo.Trace(x, self.decoder(z1, y), sites)

    with pytest.raises(vaezoo.LatentsError, match=r"Drawing must draw by vaezoo\.draw"):
        two_level(Drawing).embed(images(B))


def test_looking_at_how_many_groups_there_are_draws_nothing_from_the_caller() -> None:
    model, x = two_level(), images(B)
    state = torch.get_rng_state()
    model.embed(x)
    assert torch.equal(torch.get_rng_state(), state)


# What is told after a step.


class Silent(vaezoo.Objective):
    """An objective that has nothing to say of state."""

    def score(self, trace: vaezoo.Trace, weights: Any) -> vaezoo.Terms:
        return vaezoo.Terms(-trace.log_w.mean(0), figures(trace))


def test_an_optimal_sigma_is_updated_under_any_forward_and_objective() -> None:
    model = two_level(likelihood={"name": "gaussian", "sigma": "optimal"})
    model._objective = vaezoo.Borrowed(Silent())
    head = model.decoder.head
    assert isinstance(head, OptimalSigma)
    vaezoo.fit(model, images(16), steps=3, **{**QUICK, "validation": 0})
    assert head.steps == 3
    assert 0 < head.variance < 1


def test_states_of_others_are_none_of_the_decoders() -> None:
    class Counting(vaezoo.VAE):
        seen: Tensor

        def observe(self, trace: vaezoo.Trace) -> dict[str, Tensor]:
            return {"squared_error": trace.log_px.detach().mean()}  # as the head calls its own

        def after_step(self, state: dict[str, Tensor]) -> None:
            super().after_step(state)
            self.seen = state["squared_error"]

    options: dict[str, Any] = {"likelihood": {"name": "gaussian", "sigma": "optimal"}}
    base = vaezoo.create("vae", input_shape=SHAPE, latent_dim=2, **options)
    model = Counting(base.encoder, base.decoder, base.prior)
    vaezoo.fit(model, images(16), steps=2, **{**QUICK, "validation": 0})
    assert model.seen.ndim == 0
    assert model.decoder.head.steps == 0


def test_evaluation_tells_nothing() -> None:
    model = vaezoo.create("sigma-vae", input_shape=SHAPE, latent_dim=2)
    batch, weights = vaezoo.Batch(images(B)), model.objective.weights(torch.tensor(0))
    assert model.objective.loss(model, batch, weights).state
    assert not model.objective.loss(model.eval(), batch, weights).state


# Objectives and phases.


def test_figures_name_every_group() -> None:
    trace = two_level()(images(B), samples=K)
    found = figures(trace)
    assert list(found) == ["elbo", "reconstruction", "kl", "kl/z1", "kl/z2"]
    assert torch.allclose(found["kl/z1"] + found["kl/z2"], found["kl"])


def test_an_elbo_without_beta_has_no_such_weight() -> None:
    assert set(vaezoo.ELBO(None, gamma=2.0).schedules) == {"gamma"}


def test_validation_scores_as_many_draws_as_training() -> None:
    class Counting(Silent):
        def score(self, trace: vaezoo.Trace, weights: Any) -> vaezoo.Terms:
            drawn.append(tuple(trace.log_w.shape))
            return super().score(trace, weights)

    drawn: list[tuple[int, ...]] = []
    model = vaezoo.create("vae", input_shape=SHAPE, latent_dim=2)
    model._objective = vaezoo.Borrowed(Counting(samples=K))
    vaezoo.fit(model, images(12), steps=1, **{**QUICK, "validation": 4})
    assert drawn[-1] == (K, 4)


def test_a_phase_has_a_rate_of_its_own() -> None:
    class Slow(vaezoo.ELBO):
        def phases(self, model: vaezoo.VAE) -> tuple[vaezoo.Phase, ...]:
            return (vaezoo.Phase("slow", self.loss, model.parameters(), rate=0.25),)

    model = vaezoo.create("vae", input_shape=SHAPE, latent_dim=2)
    model._objective = vaezoo.Borrowed(Slow())
    step = make_step(model, learning_rate=0.02, execution="eager")
    step(vaezoo.Batch(images(8)), 0)
    (group,) = step.updates[0].optimizer.param_groups
    assert group["lr"].item() == pytest.approx(0.005)
    with pytest.raises(ValueError, match="rate must be positive, not 0"):
        vaezoo.Phase("still", step.phases[0].loss, model.parameters(), rate=0)


# KL and parts.


def test_a_joint_q_against_a_factorised_p_has_the_formula_of_the_types_within() -> None:
    class Joint(MultivariateNormal):
        pass

    @vaezoo.register_kl(Joint, Normal)
    def _kl(q: Joint, p: Normal) -> Tensor:
        return (q.mean - p.loc).sum(-1)

    q = Joint(torch.randn(B, 2), torch.eye(2))
    p = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    assert torch.equal(closed_form_kl(q, p), q.mean.sum(-1))  # type: ignore[arg-type]
    site = vaezoo.Site(q, p, q.rsample((K,)))
    assert site.kl_kind == "analytic"
    assert site.kl.shape == (K, B)
    assert site.kl_by_dimension is None
    plain = MultivariateNormal(torch.zeros(B, 2), torch.eye(2))
    assert closed_form_kl(plain, p) is None


def test_a_network_between_latents_is_dense_whatever_images_take() -> None:
    for network, width in (("conv", 400), ({"name": "mlp", "hidden": [11]}, 11)):
        parts = Parts("mine", SharedOptions(), {"network": network})
        dense = parts.dense((LOWER,), (2, UPPER))
        assert dense(torch.zeros(K, B, LOWER)).shape == (K, B, 2, UPPER)
        assert dense.inner.layers[0].out_features == width  # type: ignore[union-attr,index]


def test_a_decoder_takes_another_group_of_latents() -> None:
    parts = Parts("mine", SharedOptions(input_shape=SHAPE, latent_dim=UPPER), {})
    decoder = parts.decoder(latent_shape=(LOWER,))
    assert decoder(torch.zeros(B, LOWER)).mean.shape == (B, *SHAPE)


def test_an_encoder_of_the_callers_own_cannot_be_two() -> None:
    parts = Parts("two", SharedOptions(), {"encoder": vaezoo.wrap(torch.nn.Flatten())})
    parts._module("encoder")
    with pytest.raises(vaezoo.OptionError, match="two builds several encoders"):
        parts.encoder()


def test_a_prior_of_another_group_of_latents_has_its_shape_and_is_another() -> None:
    parts = Parts("mine", SharedOptions(latent_dim=UPPER), {"prior": "mixture"})
    mine, side = parts.prior(), parts.prior(latent_shape=(LOWER,))
    assert (mine.event_shape, side.event_shape) == ((UPPER,), (LOWER,))
    assert parts.latent_shape == (UPPER,)
    assert parts.finish()[1]["prior"]["name"] == "mixture"
    conditional = {"prior": "class-normal"}
    parts = Parts("mine", SharedOptions(latent_dim=UPPER, num_classes=3), conditional)
    assert parts.prior(latent_shape=(LOWER,))(torch.tensor([0, 2])).event_shape == (LOWER,)
    assert parts.finish()[0]["num_classes"] == 3  # which the side's prior has made use of


def test_a_prior_of_the_callers_own_cannot_be_two() -> None:
    own = vaezoo.priors.StandardNormal((UPPER,))
    parts = Parts("two", SharedOptions(latent_dim=UPPER), {"prior": own})
    assert parts.prior() is own
    with pytest.raises(vaezoo.OptionError, match=r"two builds several priors.*a prior by"):
        parts.prior()

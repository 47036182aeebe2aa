"""The kit passes sound variants of every kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vaezoo.testing import CHECKS, Report, check_variant

Plant = Callable[..., str]

IN_THIS_PROCESS = [name for name in CHECKS if name not in {"import", "globals", "compile"}]

SOUND = {
    "importance weighted": """
        import math

        class IWAE(Objective):
            def score(self, trace, weights):
                bound = trace.log_w.logsumexp(0) - math.log(len(trace.log_w))
                return Terms(-bound, {"bound": bound})

        def recipe(options: Options, parts):
            return made(parts, objective=IWAE(samples=5))
    """,
    "free bits": """
        class FreeBits(ELBO):
            def regularizer(self, trace, weights):
                return trace.kl.clamp(min=20.0)

        def recipe(options: Options, parts):
            return made(parts, objective=FreeBits())
    """,
    "annealed capacity": """
        from vaezoo.schedules import warmup

        class Capacity(ELBO):
            def regularizer(self, trace, weights):
                return 30 * (trace.kl - weights["capacity"]).abs()

        def recipe(options: Options, parts):
            return made(parts, objective=Capacity(capacity=warmup(25.0, 10_000)))
    """,
    "a term that couples the batch": """
        class DIP(ELBO):
            per_example = False

            def regularizer(self, trace, weights):
                mean = trace.sites[0].q.base_dist.loc
                centred = mean - mean.mean(0)
                covariance = centred.T @ centred / len(mean)
                return (trace.kl.mean() + (covariance - torch.eye(5).to(mean)).square().sum())

            def score(self, trace, weights):
                return Terms(-trace.log_px.mean() + self.regularizer(trace, weights))

        def recipe(options: Options, parts):
            return made(parts, objective=DIP())
    """,
    "two phases": """
        from torch.nn.functional import logsigmoid

        class FactorVAE(ELBO):
            per_example = False

            def __init__(self, dim):
                super().__init__()
                self.critic = nn.Sequential(nn.Linear(dim, 9), nn.ReLU(), nn.Linear(9, 1))

            def regularizer(self, trace, weights):
                return trace.kl + 6.0 * self.critic(trace.sites[0].z).squeeze(-1)

            def criticise(self, model, batch, weights):
                with torch.no_grad():
                    z = model(batch.x, batch.y).sites[0].z[0]
                shuffled = z.gather(0, torch.rand_like(z).argsort(0))
                real, fake = self.critic(z), self.critic(shuffled)
                return Terms(-(logsigmoid(real) + logsigmoid(-fake)).squeeze(-1))

            def phases(self, model):
                critic = Phase("critic", self.criticise, self.critic.parameters())
                return (*super().phases(model), critic)

        def recipe(options: Options, parts):
            return made(parts, objective=FactorVAE(parts.latent_dim))
    """,
    "two sites": """
        class Gaussian(nn.Module):
            def __init__(self, parts, inputs, outputs):
                super().__init__()
                self.head = vaezoo.heads.PredictedSigma((outputs,))
                self.network = parts.network(
                    (inputs,), self.head.input_shape, direction="down"
                )

            def forward(self, x):
                return self.head(self.network(x))

        class Ladder(VAE):
            def __init__(self, parts, dim):
                super().__init__(parts.encoder(), parts.decoder(), parts.prior())
                self.up, self.down = Gaussian(parts, dim, 3), Gaussian(parts, 3, dim)
                self.top = vaezoo.priors.StandardNormal((3,))

            def forward(self, x, y=None, samples=1):
                q1 = self.encoder(x, y)
                z1 = vaezoo.draw(q1, samples)
                q2 = self.up(z1)
                z2 = vaezoo.draw(q2, samples)
                sites = Site(q1, self.down(z2), z1, name="z1"), Site(q2, self.top(), z2, name="z2")
                return Trace(x, self.decoder(z1, y), sites)

            def generate(self, n, y=None):
                return self.decoder(self.down(self.top().sample((n,))).sample(), y)

        def recipe(options: Options, parts):
            return Ladder(parts, parts.latent_dim)
    """,
    "a posterior without spread, which is a bound": """
        class Point(vaezoo.heads.PointMass):
            def log_prob(self, value):
                return value.new_zeros(value.shape[:-1])

        class Encoder(vaezoo.Encoder):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, x, y=None):
                return Point(self.inner(x, y).mean, 1)

        class Constant(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                trace.sites[0].log_p = torch.full_like(trace.log_px, -9.0)
                return trace

        def recipe(options: Options, parts):
            head = vaezoo.heads.PointMassHead(parts.latent_shape)
            return Constant(Encoder(parts.encoder(head=head)), parts.decoder(), parts.prior())
    """,
    "an autoencoder, which is no bound": """
        class Code(nn.Module):
            num_classes = None

            def __init__(self, encoder):
                super().__init__()
                self.inner = encoder

            def forward(self, x, y=None):
                mean = self.inner(x, y).mean
                return vaezoo.heads.gaussian.normal(mean, torch.full_like(mean, 1e-3), 1)

        def recipe(options: Options, parts):
            encoder = Code(parts.encoder())
            objective = ELBO(0.0)
            return VAE(
                encoder, parts.decoder(), parts.prior(), objective=objective, bound="none"
            )
    """,
}


@pytest.mark.parametrize("source", SOUND.values(), ids=SOUND)
def test_sound_variants_pass(plant: Plant, source: str) -> None:
    name = plant(source)
    assert check_variant(name, only=IN_THIS_PROCESS) == Report(passed=IN_THIS_PROCESS)


def test_every_phase_of_a_sound_variant_compiles(plant: Plant) -> None:
    name = plant(SOUND["two phases"])
    only = ["import", "globals", "compile"]
    assert check_variant(name, only=only).passed == only


def test_options_of_create_reach_the_model() -> None:
    only = ["trace", "loss", "methods"]
    report = check_variant(
        "vae", only=only, input_shape=(1, 16, 24), network={"name": "conv", "channels": [4]}
    )
    assert report.passed == only


def test_vectors_and_continuous_likelihoods_pass() -> None:
    gaussian = {"name": "gaussian", "sigma": "optimal"}
    report = check_variant("vae", only=IN_THIS_PROCESS, input_shape=(11,), likelihood=gaussian)
    assert report.passed == IN_THIS_PROCESS

"""The kit finds models whose figures would be wrong, or better than they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vaezoo.testing import check_variant

Fails = Callable[..., Any]
Plant = Callable[..., str]

LEARNED = """
    class Learned(vaezoo.Prior):
        def __init__(self, event_shape):
            super().__init__()
            self.event_shape = event_shape
            self.loc = nn.Parameter(torch.full(event_shape, 3.0))

        def forward(self, y=None):
            scale = torch.full_like(self.loc, 0.4)
            return vaezoo.heads.gaussian.normal(self.loc, scale, 1)

    class Model(VAE):
        def generate(self, n, y=None):
            return self.decoder({z}, y)

    def recipe(options: Options, parts):
        return Model(parts.encoder(), parts.decoder(), Learned(parts.latent_shape))
"""


def test_samples_of_another_prior_than_that_of_the_bound(fails: Fails) -> None:
    fails(
        "draws",
        "codes of samples with the mean of draws from p",
        LEARNED.format(z="torch.randn(n, 5)"),
    )


def test_samples_at_another_temperature_than_the_priors(fails: Fails) -> None:
    source = LEARNED.format(z="self.loc_of(n)").replace(
        "def generate",
        "def loc_of(self, n):\n"
        "            loc = self.prior.loc\n"
        "            return loc + 0.7 * 0.4 * torch.randn(n, 5)\n\n"
        "        def generate",
    )
    fails("draws", "codes of samples with the mean square of draws from p", source)


def test_samples_of_two_sites_that_do_not_follow_a_learned_prior(fails: Fails) -> None:
    source = """
        class Learned(vaezoo.Prior):
            def __init__(self, event_shape):
                super().__init__()
                self.event_shape = event_shape
                self.loc = nn.Parameter(torch.full(event_shape, 3.0))

            def forward(self, y=None):
                return vaezoo.heads.gaussian.normal(self.loc, torch.ones_like(self.loc), 1)

        class Two(VAE):
            def __init__(self, parts):
                shape = parts.latent_shape
                super().__init__(parts.encoder(), parts.decoder(), Learned(shape))
                self.other, self.side = parts.encoder(), Learned(shape)

            def forward(self, x, y=None, samples=1):
                q1, q2 = self.encoder(x, y), self.other(x, y)
                z1, z2 = vaezoo.draw(q1, samples), vaezoo.draw(q2, samples)
                sites = Site(q1, self.prior(), z1, name="a"), Site(q2, self.side(), z2, name="b")
                return Trace(x, self.decoder(z1 + z2, y), sites)

            def generate(self, n, y=None):
                return self.decoder(torch.randn(n, 5) + torch.randn(n, 5), y)

        def recipe(options: Options, parts):
            return Two(parts)
    """
    fails("draws", "the priors' own parameters are others: prior.loc, side.loc", source)


FLOW = """
    from torch.distributions import Distribution

    class Flow(Distribution):
        has_rsample = True

        def __init__(self, base, log_scale, shift):
            super().__init__(base.batch_shape, base.event_shape, validate_args=False)
            self.base, self.log_scale, self.shift = base, log_scale, shift

        @property
        def mean(self):
            return self.base.mean * self.log_scale.exp() + self.shift

        def rsample(self, sample_shape=()):
            return self.base.rsample(sample_shape) * self.log_scale.exp() + self.shift

        def log_prob(self, value):
            log_q = self.base.log_prob((value - self.shift) * (-self.log_scale).exp())
            return log_q{log_det}

    class Encoder(vaezoo.Encoder):
        def __init__(self, inner, shape):
            super().__init__()
            self.inner = inner
            self.log_scale = nn.Parameter(torch.full(shape, 0.5))
            self.shift = nn.Parameter(torch.zeros(shape))

        def forward(self, x, y=None):
            return Flow(self.inner(x, y), self.log_scale, self.shift)

    def recipe(options: Options, parts):
        encoder = Encoder(parts.encoder(), parts.latent_shape)
        return VAE(encoder, parts.decoder(), parts.prior())
"""


def test_a_flow_without_its_log_determinant(fails: Fails) -> None:
    fails("densities", "a q whose density integrates to 1", FLOW.format(log_det=""))


def test_a_flow_that_holds_its_parameters_is_sound(plant: Plant) -> None:
    name = plant(FLOW.format(log_det=" - self.log_scale.sum()"))
    only = ["densities", "methods", "draws", "kl", "gradients"]
    assert sorted(check_variant(name, only=only).passed) == sorted(only)


def test_a_mixture_prior_without_the_weights_of_its_components(fails: Fails) -> None:
    source = """
        from torch.distributions import Distribution

        class Mixture(Distribution):
            def __init__(self, locs):
                super().__init__((), locs.shape[1:], validate_args=False)
                self.locs = locs

            def each(self):
                return vaezoo.heads.gaussian.normal(self.locs, torch.ones_like(self.locs), 1)

            def sample(self, sample_shape=()):
                index = torch.randint(len(self.locs), sample_shape)
                return self.locs[index] + torch.randn(*sample_shape, *self.event_shape)

            def log_prob(self, value):
                return self.each().log_prob(value.unsqueeze(-2)).logsumexp(-1)

        class Prior(vaezoo.Prior):
            def __init__(self, event_shape):
                super().__init__()
                self.event_shape = event_shape
                self.locs = nn.Parameter(torch.randn(4, *event_shape))

            def forward(self, y=None):
                return Mixture(self.locs)

        def recipe(options: Options, parts):
            return VAE(parts.encoder(), parts.decoder(), Prior(parts.latent_shape))
    """
    fails("densities", "a p whose density integrates to 1", source)


def test_a_log_q_that_is_not_that_of_q(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                site = trace.sites[0]
                log_q = site.log_q - 1.0
                return Trace(x, trace.px, (Site(site.q, site.p, site.z, log_q=log_q),))

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("densities", "log q at z, by the q of site 'z'", source)


def test_a_prior_that_depends_on_the_place_in_the_batch(fails: Fails) -> None:
    source = """
        class Prior(vaezoo.Prior):
            num_classes = 6

            def __init__(self, event_shape):
                super().__init__()
                self.event_shape = event_shape
                self.loc = nn.Parameter(torch.randn(6, *event_shape))

            def forward(self, y=None):
                loc = self.loc[torch.arange(len(y)) % 6]
                return vaezoo.heads.gaussian.normal(loc, torch.ones_like(loc), 1)

        def recipe(options: Options, parts):
            _ = parts.num_classes
            prior = Prior(parts.latent_shape)
            return VAE(parts.encoder(conditional=True), parts.decoder(conditional=True), prior)
    """
    fails("batch", "log p of z of the examples in another order", source)


def test_labels_that_are_ignored(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                return super().forward(x, torch.zeros_like(y), samples)

            def generate(self, n, y=None):
                return super().generate(n, torch.zeros_like(y))

        def recipe(options: Options, parts):
            _ = parts.num_classes
            return Model(
                parts.encoder(conditional=True), parts.decoder(conditional=True), parts.prior()
            )
    """
    fails("samples", "another sample() for another label", source)


def test_a_small_term_that_couples_the_batch(fails: Fails) -> None:
    source = """
        class Coupled(ELBO):
            def regularizer(self, trace, weights):
                mean = trace.sites[0].q.base_dist.loc
                return weights["beta"] * trace.kl + 0.1 * (mean - mean.mean(0)).square().sum(1)

        def recipe(options: Options, parts):
            return made(parts, objective=Coupled())
    """
    fails("batch", "per_example = False", source)


def test_a_buffer_that_the_loss_advances(fails: Fails) -> None:
    source = """
        class Counted(ELBO):
            def __init__(self):
                super().__init__()
                self.register_buffer("seen", torch.zeros(()))

            def regularizer(self, trace, weights):
                self.seen += 1
                return trace.kl * weights["beta"]

        def recipe(options: Options, parts):
            return made(parts, objective=Counted())
    """
    fails("phases", "changed objective.seen", source)


def test_two_sites_of_one_noise(fails: Fails) -> None:
    source = """
        class Two(VAE):
            def __init__(self, parts):
                super().__init__(parts.encoder(), parts.decoder(), parts.prior())
                self.other = parts.encoder()

            def forward(self, x, y=None, samples=1):
                q1, q2 = self.encoder(x, y), self.other(x, y)
                noise = torch.randn(samples, len(x), 5, dtype=x.dtype, device=x.device)
                z1, z2 = (q.mean + q.stddev * noise for q in (q1, q2))
                sites = Site(q1, self.prior(), z1, name="a"), Site(q2, self.prior(), z2, name="b")
                return Trace(x, self.decoder(z1 + z2, y), sites)

            def generate(self, n, y=None):
                p = self.prior()
                return self.decoder(p.sample((n,)) + p.sample((n,)), y)

        def recipe(options: Options, parts):
            return Two(parts)
    """
    fails("draws", "sites that share their noise", source)


def test_a_kl_summed_over_the_draws(fails: Fails) -> None:
    source = """
        class Summed(ELBO):
            def regularizer(self, trace, weights):
                return weights["beta"] * trace.kl.sum(0)

        def recipe(options: Options, parts):
            return made(parts, objective=Summed())
    """
    fails("loss", "draws that are all the same", source)


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        ("z = q.sample((samples,))", "none: z carries no gradient"),
        ("z = q.rsample((samples,)); seen = z.detach()", "a gradient from log p(x|z) to z"),
    ],
)
def test_a_z_without_the_gradient_of_its_encoder(fails: Fails, forward: str, reason: str) -> None:
    source = f"""
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                q = self.encoder(x, y)
                seen = None
                {forward}
                px = self.decoder(z if seen is None else seen, y)
                return Trace(x, px, (Site(q, self.prior(y), z),))

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("gradients", reason, source)


def test_a_trace_of_other_examples(fails: Fails) -> None:
    source = """
        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                return super().forward(x.flip(0), y, samples)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("trace", "trace.x, the examples that were passed in", source)

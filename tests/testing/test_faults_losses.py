"""The kit finds what is wrong with a loss, a KL or a bound, and says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fails = Callable[..., Any]


def test_a_loss_averaged_over_pixels(fails: Fails) -> None:
    source = """
        class PixelMean(ELBO):
            def score(self, trace, weights):
                pixels = trace.px.base_dist.log_prob(trace.x).mean((-3, -2, -1))
                return Terms((trace.kl - pixels).mean(0))

        def recipe(options: Options, parts):
            return made(parts, objective=PixelMean())
    """
    error = fails("loss", "sums over event dimensions (no mean over pixels)", source)
    assert "score() of PixelMean" in str(error)


def test_a_loss_averaged_over_pixels_in_an_objective_that_is_no_elbo(fails: Fails) -> None:
    source = """
        class PixelMean(Objective):
            def score(self, trace, weights):
                return Terms((trace.kl - trace.log_px / trace.x[0].numel()).mean(0))

        def recipe(options: Options, parts):
            return made(parts, objective=PixelMean())
    """
    fails("loss", "d loss / d log p(x|z)", source)


def test_a_loss_summed_over_the_batch(fails: Fails) -> None:
    source = """
        class Summed(ELBO):
            def score(self, trace, weights):
                return Terms((trace.kl - trace.log_px).mean(0).sum())

        def recipe(options: Options, parts):
            return made(parts, objective=Summed())
    """
    fails("loss", "one loss per example", source)


def test_the_two_reductions_swapped(fails: Fails) -> None:
    source = """
        class Swapped(ELBO):
            def score(self, trace, weights):
                pixels = trace.px.base_dist.log_prob(trace.x).flatten(2).mean(-1)
                return Terms((trace.kl - pixels).mean(0).sum())

        def recipe(options: Options, parts):
            return made(parts, objective=Swapped())
    """
    fails("loss", "sums over event dimensions (no mean over pixels)", source)


def test_a_loss_summed_over_samples(fails: Fails) -> None:
    source = """
        class Summed(ELBO):
            def score(self, trace, weights):
                return Terms((trace.kl - trace.log_px).sum(0))

        def recipe(options: Options, parts):
            return made(parts, objective=Summed(samples=3))
    """
    fails("loss", "mean over K", source)


def test_a_likelihood_that_averages_over_pixels(fails: Fails) -> None:
    source = """
        from torch.distributions import Independent

        class Mean(Independent):
            def log_prob(self, value):
                return self.base_dist.log_prob(value).mean((-3, -2, -1))

        class Averaging(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                px = Mean(trace.px.base_dist, 3, validate_args=False)
                return Trace(x, px, trace.sites)

        def recipe(options: Options, parts):
            return made(parts, Averaging)
    """
    fails("loss", "the likelihood's log_prob", source)


def test_a_detached_kl(fails: Fails) -> None:
    source = """
        class Detached(ELBO):
            def regularizer(self, trace, weights):
                return weights["beta"] * trace.kl.detach()

        def recipe(options: Options, parts):
            return made(parts, objective=Detached())
    """
    fails("regularizer", "the KL is detached", source)


def test_a_posterior_that_is_detached_for_the_kl(fails: Fails) -> None:
    source = """
        class Detached(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                site = trace.sites[0]
                site.kl = site.kl.detach()
                return trace

        def recipe(options: Options, parts):
            return made(parts, Detached)
    """
    fails("regularizer", "the KL is detached", source)


def test_a_kl_with_the_wrong_sign(fails: Fails) -> None:
    source = """
        class Backwards(ELBO):
            def regularizer(self, trace, weights):
                return -weights["beta"] * trace.kl

        def recipe(options: Options, parts):
            return made(parts, objective=Backwards())
    """
    fails("regularizer", "wrong sign of the KL?", source)


def test_a_site_whose_kl_is_log_p_minus_log_q(fails: Fails) -> None:
    source = """
        class Backwards(Site):
            @property
            def kl(self):
                return self.log_p - self.log_q

        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                site = trace.sites[0]
                return Trace(x, trace.px, (Backwards(site.q, site.p, site.z),))

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("kl", "is its sign wrong?", source)


def test_a_closed_form_that_is_not_the_kl(fails: Fails) -> None:
    source = """
        class Doubled(Site):
            @property
            def kl(self):
                return 2 * vaezoo.Site(self.q, self.p, self.z).kl

        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                site = trace.sites[0]
                return Trace(x, trace.px, (Doubled(site.q, site.p, site.z),))

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("kl", "minus the mean of log q - log p", source)


def test_importance_weights_without_the_prior(fails: Fails) -> None:
    source = """
        class Weights(Trace):
            @property
            def log_w(self):
                return self.log_px - self.sites[0].log_q

        class Model(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                return Weights(x, trace.px, trace.sites)

        def recipe(options: Options, parts):
            return made(parts, Model)
    """
    fails("bound", "the bound with K=1 minus the ELBO", source)


def test_a_loss_that_depends_on_the_other_examples(fails: Fails) -> None:
    source = """
        class Centred(ELBO):
            def regularizer(self, trace, weights):
                z = trace.sites[0].z
                return weights["beta"] * trace.kl + (z - z.mean(1, keepdim=True)).square().sum(-1)

        def recipe(options: Options, parts):
            return made(parts, objective=Centred())
    """
    fails("batch", "whatever is beside it in the batch", source)


def test_a_loss_that_depends_on_the_size_of_the_batch(fails: Fails) -> None:
    source = """
        class Shared(ELBO):
            def regularizer(self, trace, weights):
                return weights["beta"] * trace.kl + 1000 / len(trace.x)

        def recipe(options: Options, parts):
            return made(parts, objective=Shared())
    """
    fails("batch", "in batches of 2 and of 6", source)

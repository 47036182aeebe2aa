"""The kit finds latents that are counted wrongly, or that no site holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fails = Callable[..., Any]

TWO_SITES = """
    class Gaussian(nn.Module):
        def __init__(self, parts, inputs, outputs):
            super().__init__()
            self.head = vaezoo.heads.PredictedSigma((outputs,))
            self.network = parts.dense((inputs,), self.head.input_shape)

        def forward(self, x):
            return self.head(self.network(x))

    class Two(VAE):
        def __init__(self, parts):
            super().__init__(parts.encoder(), parts.decoder(), parts.prior())
            self.up, self.down = Gaussian(parts, 5, 3), Gaussian(parts, 3, 5)
            self.top = vaezoo.priors.StandardNormal((3,))

        def forward(self, x, y=None, samples=1):
            q1 = self.encoder(x, y)
            z1 = vaezoo.draw(q1, samples)
            q2 = self.up(z1)
            z2 = vaezoo.draw(q2, samples)
            sites = Site(q1, self.down(z2), z1, name="z1"), Site(q2, self.top(), z2, name="z2")
            return Trace(x, self.decoder(z1, y), sites)

        def generate(self, n, y=None):
            return self.decoder(self.down({top}).sample(), y)

    def recipe(options: Options, parts):
        return Two(parts)
"""


def test_samples_from_zeros_in_place_of_a_sites_prior(fails: Fails) -> None:
    source = TWO_SITES.format(top="torch.zeros(n, 3)")
    error = fails("draws", "is a group fixed, or its mean taken?", source)
    assert "at least 8 random numbers for each sample" in str(error)


def test_samples_from_the_mean_of_a_sites_prior(fails: Fails) -> None:
    source = TWO_SITES.format(top="self.top().sample((n,))").replace(
        ").sample(), y)", ").mean, y)"
    )
    fails("draws", "Two.generate", source)


def test_a_group_of_latents_that_the_trace_does_not_hold(fails: Fails) -> None:
    source = """
        class Hidden(VAE):
            def forward(self, x, y=None, samples=1):
                trace = super().forward(x, y, samples)
                z = trace.sites[0].z
                return Trace(x, self.decoder(z + 0.1 * torch.randn_like(z), y), trace.sites)

        def recipe(options: Options, parts):
            return made(parts, Hidden)
    """
    error = fails("draws", "a draw that no site holds", source)
    assert "5 random numbers for each example, as many as its sites ('z') hold" in str(error)


def test_a_kl_averaged_over_the_latents(fails: Fails) -> None:
    source = """
        class Mean(ELBO):
            def regularizer(self, trace, weights):
                return weights["beta"] * trace.sites[0].kl_by_dimension.mean(-1)

        def recipe(options: Options, parts):
            return made(parts, objective=Mean())
    """
    fails("regularizer", "is there a mean over latents?", source)


def test_a_kl_averaged_over_the_latents_in_an_objective_that_is_no_elbo(fails: Fails) -> None:
    source = """
        class Mean(Objective):
            def score(self, trace, weights):
                kl = trace.sites[0].kl_by_dimension.mean(-1)
                return Terms((kl - trace.log_px).mean(0))

        def recipe(options: Options, parts):
            return made(parts, objective=Mean())
    """
    fails("regularizer", "is there a mean over latents?", source)


def test_an_importance_weighted_bound_without_log_k(fails: Fails) -> None:
    source = """
        class Sum(Objective):
            def score(self, trace, weights):
                return Terms(-trace.log_w.logsumexp(0))

        def recipe(options: Options, parts):
            return made(parts, objective=Sum(samples=5))
    """
    fails("loss", "logsumexp(0) - math.log(len(trace.log_w))", source)


def test_an_importance_weighted_bound_over_the_wrong_axis(fails: Fails) -> None:
    source = """
        import math

        class Batch(Objective):
            per_example = False

            def score(self, trace, weights):
                bound = trace.log_w.logsumexp(1) - math.log(trace.log_w.shape[1])
                return Terms(-bound.mean())

        def recipe(options: Options, parts):
            return made(parts, objective=Batch(samples=5))
    """
    fails("loss", "d loss / d log p(x|z), summed over K", source)


IWAE = """
    import math

    class IWAE(Objective):
        maximises = "iwae"

        def score(self, trace, weights):
            bound = trace.log_w.logsumexp(0) - math.log(len(trace.log_w))
            return Terms({loss}, {{{logs}}})

    def recipe(options: Options, parts):
        return made(parts, objective=IWAE(samples=5))
"""


def test_a_bound_that_is_not_reported(fails: Fails) -> None:
    source = IWAE.format(loss="-bound", logs="")
    fails("bound", "the figure 'iwae', which maximises names, in Terms.logs", source)


def test_a_reported_bound_without_log_k(fails: Fails) -> None:
    source = IWAE.format(loss="-bound", logs="'iwae': bound + math.log(5)")
    fails("bound", "from the mean to the largest of log_w", source)


def test_a_loss_that_is_not_minus_the_reported_bound(fails: Fails) -> None:
    source = IWAE.format(loss="-bound.clamp(max=-1000.0)", logs="'iwae': bound")
    fails("bound", "a loss of -iwae", source)

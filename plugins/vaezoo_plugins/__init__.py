"""The first-party variants: the table of contents. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

import vaezoo


@vaezoo.hookimpl
def vaezoo_specs() -> Iterator[vaezoo.VariantSpec]:
    yield vaezoo.VariantSpec(
        name="vae",
        target="vaezoo_plugins.vae:vae",
        summary="The variational autoencoder: maximises the ELBO",
        paper="Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114",
    )
    yield vaezoo.VariantSpec(
        name="beta-vae",
        target="vaezoo_plugins.beta_vae:beta_vae",
        summary="Weighs the KL by beta, for disentangled latents",
        paper="Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts with a Constrained "
        "Variational Framework, openreview.net/forum?id=Sy2fzU9gl",
    )
    yield vaezoo.VariantSpec(
        name="cvae",
        target="vaezoo_plugins.cvae:cvae",
        summary="Conditioned on labels: samples of a class that is asked for",
        paper="Sohn et al. 2015, Learning Structured Output Representation using Deep "
        "Conditional Generative Models, NeurIPS 28",
    )

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
    yield vaezoo.VariantSpec(
        name="annealed-vae",
        target="vaezoo_plugins.annealed_vae:annealed_vae",
        summary="Holds the KL at a capacity that rises during training",
        paper="Burgess et al. 2018, Understanding disentangling in beta-VAE, arXiv:1804.03599",
    )
    yield vaezoo.VariantSpec(
        name="sigma-vae",
        target="vaezoo_plugins.sigma_vae:sigma_vae",
        summary="Calibrates the sigma of a Gaussian likelihood, and so needs no beta",
        paper="Rybkin, Daniilidis & Levine 2021, Simple and Effective VAE Training with "
        "Calibrated Decoders, arXiv:2006.13202",
    )
    yield vaezoo.VariantSpec(
        name="ae",
        target="vaezoo_plugins.ae:ae",
        summary="The deterministic autoencoder: no noise, no KL, no bound; to compare with",
        paper="Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural "
        "Networks, Science 313:504-507",
    )
    yield vaezoo.VariantSpec(
        name="m2-vae",
        target="vaezoo_plugins.m2_vae:m2_vae",
        summary="Learns from data most of whose labels are missing, and classifies",
        paper="Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models, "
        "arXiv:1406.5298",
    )
    yield vaezoo.VariantSpec(
        name="vq-vae",
        target="vaezoo_plugins.vq_vae:vq_vae",
        summary="Discrete codes out of a learned codebook",
        paper="van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning, "
        "arXiv:1711.00937; Razavi, van den Oord & Vinyals 2019, Generating Diverse High-Fidelity "
        "Images with VQ-VAE-2, arXiv:1906.00446",
    )
    yield vaezoo.VariantSpec(
        name="fsq-vae",
        target="vaezoo_plugins.fsq_vae:fsq_vae",
        summary="Discrete codes by rounding, without a codebook",
        paper="Mentzer et al. 2024, Finite Scalar Quantization: VQ-VAE Made Simple, "
        "arXiv:2309.15505",
    )
    yield vaezoo.VariantSpec(
        name="gumbel-vae",
        target="vaezoo_plugins.gumbel_vae:gumbel_vae",
        summary="Categorical latents, relaxed by the Gumbel-softmax",
        paper="Jang, Gu & Poole 2017, Categorical Reparameterization with Gumbel-Softmax, "
        "arXiv:1611.01144; Maddison, Mnih & Teh 2017, The Concrete Distribution, arXiv:1611.00712",
    )

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
        name="beta-tc-vae",
        target="vaezoo_plugins.beta_tc_vae:beta_tc_vae",
        summary="Weighs the total correlation of the latents, as a part of the KL",
        paper="Chen et al. 2018, Isolating Sources of Disentanglement in Variational "
        "Autoencoders, arXiv:1802.04942",
    )
    yield vaezoo.VariantSpec(
        name="factor-vae",
        target="vaezoo_plugins.factor_vae:factor_vae",
        summary="Adds the total correlation of the latents, as a critic estimates it",
        paper="Kim & Mnih 2018, Disentangling by Factorising, arXiv:1802.05983",
    )
    yield vaezoo.VariantSpec(
        name="dip-vae",
        target="vaezoo_plugins.dip_vae:dip_vae",
        summary="Brings the covariance of all codes to the identity (I and II)",
        paper="Kumar, Sattigeri & Balakrishnan 2018, Variational Inference of Disentangled Latent "
        "Concepts from Unlabeled Observations, arXiv:1711.00848",
    )
    yield vaezoo.VariantSpec(
        name="info-vae",
        target="vaezoo_plugins.info_vae:info_vae",
        summary="Trades the KL of each example for an MMD of all codes to the prior",
        paper="Zhao, Song & Ermon 2019, InfoVAE: Balancing Learning and Inference in Variational "
        "Autoencoders, arXiv:1706.02262",
    )
    yield vaezoo.VariantSpec(
        name="wae-mmd",
        target="vaezoo_plugins.wae_mmd:wae_mmd",
        summary="A deterministic autoencoder whose codes an MMD brings to the prior; no bound",
        paper="Tolstikhin et al. 2018, Wasserstein Auto-Encoders, arXiv:1711.01558",
    )
    yield vaezoo.VariantSpec(
        name="iwae",
        target="vaezoo_plugins.iwae:iwae",
        summary="Maximises the importance-weighted bound, tighter than the ELBO",
        paper="Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders, "
        "arXiv:1509.00519",
    )
    tighter = (
        "Rainforth et al. 2018, Tighter Variational Bounds are Not Necessarily Better, "
        "arXiv:1802.04537"
    )
    yield vaezoo.VariantSpec(
        name="miwae",
        target="vaezoo_plugins.miwae:miwae",
        summary="Averages importance-weighted bounds, for an encoder's gradient with less noise",
        paper=tighter,
    )
    yield vaezoo.VariantSpec(
        name="ciwae",
        target="vaezoo_plugins.ciwae:ciwae",
        summary="Maximises a mixture of the ELBO and the importance-weighted bound",
        paper=tighter,
    )
    yield vaezoo.VariantSpec(
        name="piwae",
        target="vaezoo_plugins.piwae:piwae",
        summary="Importance weighting for the decoder, less of it for the encoder",
        paper=tighter,
    )
    yield vaezoo.VariantSpec(
        name="vamp-vae",
        target="vaezoo_plugins.vamp_vae:vamp_vae",
        summary="Its prior is what the encoder makes of learned pseudo-inputs",
        paper="Tomczak & Welling 2018, VAE with a VampPrior, arXiv:1705.07120",
    )
    yield vaezoo.VariantSpec(
        name="full-covariance-vae",
        target="vaezoo_plugins.full_covariance_vae:full_covariance_vae",
        summary="A normal posterior whose latents are correlated",
        paper="Kingma & Welling 2019, An Introduction to Variational Autoencoders, section 2.5.1, "
        "arXiv:1906.02691",
    )
    yield vaezoo.VariantSpec(
        name="iaf-vae",
        target="vaezoo_plugins.iaf_vae:iaf_vae",
        summary="A posterior bent by inverse autoregressive flow",
        paper="Kingma et al. 2016, Improving Variational Inference with Inverse Autoregressive "
        "Flow, arXiv:1606.04934",
    )
    yield vaezoo.VariantSpec(
        name="nsf-vae",
        target="vaezoo_plugins.nsf_vae:nsf_vae",
        summary="A posterior bent by coupled neural splines",
        paper="Durkan et al. 2019, Neural Spline Flows, arXiv:1906.04032",
        requires=("zuko>=1.3",),
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
    yield vaezoo.VariantSpec(
        name="ladder-vae",
        target="vaezoo_plugins.ladder_vae:ladder_vae",
        summary="Levels of latents, inferred from the top down as they are generated",
        paper="Sønderby et al. 2016, Ladder Variational Autoencoders, arXiv:1602.02282",
    )
    yield vaezoo.VariantSpec(
        name="vae-gan",
        target="vaezoo_plugins.vae_gan:vae_gan",
        summary="Compares images by a discriminator's features, and deceives it; no bound",
        paper="Larsen, Sønderby, Larochelle & Winther 2016, Autoencoding beyond pixels using a "
        "learned similarity metric, arXiv:1512.09300",
    )

"""The components that ship with the core: what a variant is put together from. No variant."""

from __future__ import annotations

from collections.abc import Iterator

from vaezoo.registry.hooks import hookimpl
from vaezoo.registry.specs import (
    DatasetSpec,
    LikelihoodSpec,
    MetricSpec,
    NetworkSpec,
    PriorSpec,
    Spec,
)


@hookimpl
def vaezoo_specs() -> Iterator[Spec]:
    yield NetworkSpec(
        name="mlp",
        target="vaezoo.networks.mlp:mlp",
        summary="Dense layers, plain or gated; images are flattened",
    )
    yield NetworkSpec(
        name="conv",
        target="vaezoo.networks.conv:conv",
        summary="Strided convolutions down, transposed ones up; any image size",
    )
    yield NetworkSpec(
        name="resnet",
        target="vaezoo.networks.resnet:resnet",
        summary="Residual blocks with group norm; any image size, spatial codes",
    )
    yield LikelihoodSpec(
        name="bernoulli",
        target="vaezoo.heads.bernoulli:bernoulli",
        summary="Independent binary pixels, from logits; data in [0, 1]",
    )
    yield LikelihoodSpec(
        name="gaussian",
        target="vaezoo.heads.gaussian:gaussian",
        summary="Independent normal values with fixed, learned or optimal sigma",
    )
    likelihoods = {
        "laplace": "Independent Laplace values: the absolute error",
        "continuous-bernoulli": "Independent values in [0, 1], from logits: a density",
        "discretized-logistic": "Grey levels, each a rounded logistic variable",
        "discretized-logistic-mixture": "Grey levels, each from a mixture of rounded logistics",
        "categorical": "Grey levels, each with a probability of its own",
        "negative-binomial": "Counts more spread than Poisson's",
        "zero-inflated-negative-binomial": "Counts with more zeros than a negative binomial has",
    }
    for name, summary in likelihoods.items():
        attribute = name.replace("-", "_")
        target = f"vaezoo.heads.{attribute}:{attribute}"
        yield LikelihoodSpec(name=name, target=target, summary=summary)
    yield PriorSpec(
        name="standard-normal",
        target="vaezoo.priors.standard_normal:standard_normal",
        summary="N(0, I)",
    )
    yield PriorSpec(
        name="class-normal",
        target="vaezoo.priors.class_normal:class_normal",
        summary="A learned normal for each label: p(z|y)",
    )
    yield PriorSpec(
        name="mixture",
        target="vaezoo.priors.mixture:mixture",
        summary="A learned mixture of factorised normals",
    )
    yield PriorSpec(
        name="vampprior",
        target="vaezoo.priors.vampprior:vampprior",
        summary="The encoder's posteriors at learned pseudo-inputs, mixed",
    )
    yield PriorSpec(
        name="flow",
        target="vaezoo.priors.flow:flow",
        summary="A normalizing flow of N(0, I): neural splines by coupling, or autoregressive",
        requires=("zuko>=1.3",),
    )
    yield PriorSpec(
        name="uniform-codes",
        target="vaezoo.priors.codes:uniform_codes",
        summary="Of discrete codes: each as probable as the others",
    )
    yield PriorSpec(
        name="autoregressive",
        target="vaezoo.priors.autoregressive:autoregressive",
        summary="Of discrete codes: each given those before it, learned",
    )
    yield DatasetSpec(
        name="sprites",
        target="vaezoo.data.sprites:sprites",
        summary="White shapes on black with known factors, rendered, 64x64; no download",
    )
    vision = {
        "mnist": "Handwritten digits, 28x28 grey",
        "fashion-mnist": "Articles of clothing, 28x28 grey",
        "kmnist": "Cursive Japanese characters, 28x28 grey",
        "cifar10": "Photographs of ten classes, 32x32 colour",
        "svhn": "House numbers, 32x32 colour",
    }
    for name, summary in vision.items():
        attribute = name.replace("-", "_")
        yield DatasetSpec(name=name, target=f"vaezoo.data.vision:{attribute}", summary=summary)
    yield DatasetSpec(
        name="dsprites",
        target="vaezoo.data.dsprites:dsprites",
        summary="The real dSprites from their .npz file, 64x64, with their factors",
        reads=("dsprites_ndarray*.npz",),
    )
    yield DatasetSpec(
        name="image-folder",
        target="vaezoo.data.image_folder:image_folder",
        summary="A folder of images of any size; sub-folders are classes",
        reads=("*/",),
    )
    yield DatasetSpec(
        name="array",
        target="vaezoo.data.arrays:array",
        summary="Images or vectors from a .npy, .npz or .safetensors file",
        reads=("*.npy", "*.npz", "*.safetensors"),
    )
    yield DatasetSpec(
        name="csv",
        target="vaezoo.data.table:csv",
        summary="The numbers of a CSV file, standardized",
        reads=("*.csv", "*.tsv"),
    )
    yield from _metrics()


def _metrics() -> Iterator[Spec]:
    likelihood = "vaezoo.evaluation.likelihood"
    yield MetricSpec(
        name="elbo",
        target=f"{likelihood}:elbo",
        summary="ELBO, reconstruction and KL in nats, with one sampled z",
        figures=("elbo", "reconstruction", "kl"),
    )
    yield MetricSpec(
        name="training-bound",
        target=f"{likelihood}:training_bound",
        summary="The bound in nats that training raises, where it is another than the ELBO",
    )
    yield MetricSpec(
        name="reconstruction",
        target=f"{likelihood}:reconstruction",
        summary="log p(x|z) in nats, with one sampled z; of any model, bound or none",
    )
    yield MetricSpec(
        name="bits-per-dim",
        target=f"{likelihood}:bits_per_dim",
        summary="-ELBO in bits for each dimension of discrete data",
        units={"bits_per_dim": "bits/dim"},
    )
    yield MetricSpec(
        name="log-likelihood",
        target=f"{likelihood}:log_likelihood",
        summary="Importance-weighted log p(x) in nats, 5,000 samples",
        units={"samples": ""},
    )
    yield MetricSpec(
        name="latents",
        target="vaezoo.evaluation.latent_metrics:latents",
        summary="KL in nats of each site and dimension, and how many units are active",
        figures=("active_units", "kl_by_dimension"),
        units={"active_units": "dimensions", "latent_dim": "dimensions"},
    )
    surgery = ("mutual_information", "marginal_kl", "total_correlation", "dimension_wise_kl")
    yield MetricSpec(
        name="elbo-surgery",
        target="vaezoo.evaluation.surgery:elbo_surgery",
        summary="What the KL is made of, in nats: I(x;z) and KL(q(z)||p(z)), and its two parts",
        figures=surgery,
        units={"surgery_examples": "", "surgery_draws": ""},
    )
    classifiers = {
        "linear-probe": "Accuracy of a logistic regression on the posterior means",
        "knn": "Accuracy of the k nearest posterior means' vote",
    }
    for name, summary in classifiers.items():
        attribute = name.replace("-", "_")
        figures = (f"{attribute}_accuracy", f"{attribute}_accuracy_raw")
        others = (f"{attribute}_labels", f"{attribute}_draws", "unlabelled")
        yield MetricSpec(
            name=name,
            target=f"vaezoo.evaluation.representation:{attribute}",
            summary=summary,
            requires=("scikit-learn",),
            figures=figures,
            units=dict.fromkeys(figures, "of 1") | dict.fromkeys(others, ""),
        )
    figures = ("anomaly_auroc_likelihood", "anomaly_auroc_reconstruction")
    others = ("anomaly_examples", "anomaly_samples", "unlabelled")
    yield MetricSpec(
        name="anomaly",
        target="vaezoo.evaluation.anomaly:anomaly",
        summary="AUROC by which examples of other classes are told from the normal ones",
        requires=("scikit-learn",),
        figures=figures,
        units=dict.fromkeys(figures, "of 1") | dict.fromkeys(others, ""),
    )
    yield MetricSpec(
        name="accuracy",
        target="vaezoo.evaluation.accuracy:accuracy",
        summary="Share of labelled examples whose label the model predicts",
        units={"accuracy": "of 1", "labelled": ""},
    )

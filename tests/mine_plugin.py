"""A third party's plugin with a spec of every kind, in the versions of its history."""

from __future__ import annotations

from dataclasses import replace

from plugin_projects import Project

INIT = """
import vaezoo


@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.VariantSpec(
        name="mine/skewed-vae", target="vaezoo_mine.model:skewed_vae", summary="Skewed",
        paper="Mine 2026",
    )
    yield vaezoo.NetworkSpec(
        name="mine/dense", target="vaezoo_mine.parts:dense", summary="One hidden layer"
    )
    yield vaezoo.PriorSpec(name="mine/wide", target="vaezoo_mine.parts:wide", summary="Wide")
    yield vaezoo.LikelihoodSpec(
        name="mine/sharp", target="vaezoo_mine.parts:sharp", summary="A small sigma"
    )
    yield vaezoo.DatasetSpec(name="mine/blobs", target="vaezoo_mine.data:blobs", summary="Blobs")
    yield vaezoo.MetricSpec(
        name="mine/spread", target="vaezoo_mine.data:spread", summary="Of the codes"
    )
"""
MODEL = '''
from dataclasses import dataclass

import vaezoo


@dataclass(frozen=True, kw_only=True)
class Options:
    skew: float = 0.5
    """What the KL is multiplied by."""


def skewed_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = vaezoo.ELBO(beta=options.skew)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
'''
PARTS = '''
from dataclasses import dataclass
from math import prod

import torch
from torch import nn
from torch.distributions import Independent, Normal

import vaezoo


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Options of the network."""

    width: int = 7
    """Of the hidden layer."""


def dense(options: Dense, *, input_shape, output_shape, context_dim, direction):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(input_shape), options.width),
        nn.Tanh(),
        nn.Linear(options.width, prod(output_shape)),
        nn.Unflatten(1, output_shape),
    )


@dataclass(frozen=True, kw_only=True)
class Wide:
    """Options of the prior."""

    sigma: float = 2.0
    """Its standard deviation."""


class WidePrior(vaezoo.Prior):
    def __init__(self, shape, sigma):
        super().__init__()
        self.event_shape = shape
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("sigma", torch.full(shape, sigma))

    def forward(self, y=None):
        normal = Normal(self.mean, self.sigma, validate_args=False)
        return Independent(normal, len(self.event_shape), validate_args=False)


def wide(options: Wide, parts: vaezoo.Parts):
    return WidePrior(parts.latent_shape, options.sigma)


@dataclass(frozen=True, kw_only=True)
class Sharp:
    """Options of the likelihood."""

    sigma: float = 0.1
    """Its standard deviation."""


class SharpHead(vaezoo.heads.Head):
    def __init__(self, shape, sigma):
        super().__init__()
        self.event_shape = self.input_shape = shape
        self.sigma = sigma

    def forward(self, parameters):
        normal = Normal(parameters, self.sigma, validate_args=False)
        return Independent(normal, len(self.event_shape), validate_args=False)


def sharp(options: Sharp, event_shape):
    return SharpHead(event_shape, options.sigma)
'''
DATA = '''
from dataclasses import dataclass

import torch

from vaezoo.data import TensorSource, named_splits


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Options of the data."""

    size: int = 6
    """Pixels on a side."""


def blobs(options: Blobs, root):
    generator = torch.Generator().manual_seed(0)
    splits = {}
    for split, n in {"train": 40, "validation": 8, "test": 8}.items():
        x = torch.rand(n, 1, options.size, 5, generator=generator)
        splits[split] = TensorSource(x), f"{n} random images"
    return named_splits("mine/blobs", splits, options={"size": options.size})


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Options of the metric."""

    samples: int = 1
    """How often it is measured."""


def spread(options: Spread):
    def compute(evaluation):
        codes = torch.cat([evaluation.model.embed(b.x) for b in evaluation.batches()])
        return {"mine_spread": codes.std(0).mean().item()}

    return compute
'''
FILES = {"__init__": INIT, "model": MODEL, "parts": PARTS, "data": DATA}
MINE = Project(
    name="vaezoo-mine",
    version="1.2",
    entry_points={"mine": "vaezoo_mine"},
    code={f"vaezoo_mine/{name}.py": text for name, text in FILES.items()},
)


def later(version: str, **files: str) -> Project:
    """Another version, with other files."""
    code = {**MINE.code, **{f"vaezoo_mine/{name}.py": text for name, text in files.items()}}
    return replace(MINE, version=version, code=code)


VERSIONS = {
    "same": MINE,
    "patch": later("1.2.1"),
    "minor": later("1.3"),
    "option": later("2.0", model=MODEL.replace("skew:", "skews:").replace("options.skew", "1.0")),
    "tensors": later("3.0", parts=PARTS.replace("nn.Flatten(),", "nn.Flatten(), nn.Identity(),")),
    "broken": later("4.0", __init__="raise RuntimeError('boom')"),
    "dropped": later("5.0", __init__=INIT.replace("skewed-vae", "straight-vae")),
    "no-prior": later("6.0", __init__=INIT.replace("mine/wide", "mine/narrow")),
    "other": Project(
        name="vaezoo-other",
        entry_points={"other": "vaezoo_other"},
        code={p.replace("mine", "other"): t.replace("vaezoo_mine", "vaezoo_other")
              for p, t in MINE.code.items()},
    ),
}  # fmt: skip
"""What may be installed where a model that 1.2 saved is loaded."""

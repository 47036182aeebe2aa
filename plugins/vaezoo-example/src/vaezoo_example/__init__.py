"""The table of contents: what vaezoo reads when it looks for variants. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

import vaezoo


@vaezoo.hookimpl
def vaezoo_specs() -> Iterator[vaezoo.VariantSpec]:
    yield vaezoo.VariantSpec(
        name="example/skewed-vae",
        target="vaezoo_example.skewed_vae:skewed_vae",
        summary="Holds codes by the skew geometric Jensen-Shannon divergence",
        paper="Deasy, Simidjievski & Liò 2020, Constraining Variational Inference with "
        "Geometric Jensen-Shannon Divergence, NeurIPS 33, arXiv:2006.10599",
    )

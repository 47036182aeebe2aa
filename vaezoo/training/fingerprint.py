"""Telling one data set from another without reading it all."""

from __future__ import annotations

import hashlib

import torch

from vaezoo.data import Source

GLANCES = 64


def fingerprint(source: Source) -> str:
    """A hash of the shape, the size, and evenly spaced examples with their labels."""
    n = len(source)
    index = torch.linspace(0, n - 1, min(n, GLANCES), dtype=torch.float64).long()
    x, y = source.examples(index.to(source.device))
    digest = hashlib.sha256(f"{n} {tuple(source.shape)} {x.dtype}".encode())
    for tensor in (x, y):
        if tensor is not None:
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]

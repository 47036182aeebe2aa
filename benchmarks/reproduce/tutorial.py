"""The tutorial's figures and pictures: docs/tutorial.md, run as it stands.

The page's snippets are one program. Its pictures go to docs/images, and the figures that its text
quotes to the result file, with the settings and the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import sklearn
from machine import machine
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).parent / "results" / "tutorial.json"
FIGURES = ("by_hand", "measured", "same", "wider", "at_mean", "estimates", "accuracy")
FIGURES += ("autoencoder",)
"""The page's variables that hold figures."""
SHADES = 128
"""Colours of a picture, most of which are grey: a third of the size, and no difference to see."""


def run(page: Path) -> dict[str, Any]:
    """The page's variables, after all its snippets; its pictures are in the current folder."""
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(code, page.name, "exec"), names)
    return names


def main() -> None:
    """Run the page, and keep its pictures and figures."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    started = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.chdir(folder):
            names = run(DOCS / "tutorial.md")
        seconds = time.perf_counter() - started[0], time.process_time() - started[1]
        for path in Path(folder).glob("tutorial-*.png"):
            reduced = Image.open(path).quantize(SHADES, dither=Image.Dither.NONE)
            reduced.save(DOCS / "images" / path.name, optimize=True)
    result = {
        "machine": {**machine(), "scikit-learn": sklearn.__version__},
        "seconds": {"wall": round(seconds[0], 1), "cpu": round(seconds[1], 1)},
        "settings": {"steps": names["STEPS"], "samples": names["SAMPLES"]},
        "data": names["data"].description,
        "figures": {name: names[name] for name in FIGURES},
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

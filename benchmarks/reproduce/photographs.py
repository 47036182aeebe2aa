"""A folder of 300 photograph-like JPEGs of mixed sizes, one of them cut short, and the README's
commands on it: what ``vaezoo train vae --data FOLDER`` makes of one's own pictures.

The pictures are drawn here: houses, hills, trees and a sun under skies of several colours, with
noise, a few of them grey.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine
from PIL import Image, ImageDraw, ImageFilter

RESULTS = Path(__file__).parent / "results" / "photographs.json"
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "photos-reconstructions.png"
COUNT, DAMAGED = 300, 137
SIZES = [(320, 240), (240, 320), (300, 300), (400, 260), (180, 220), (512, 384), (96, 80)]
SKIES = [
    ((90, 140, 220), (200, 220, 245)),
    ((240, 150, 90), (250, 210, 160)),
    ((120, 130, 150), (190, 195, 205)),
    ((20, 30, 80), (90, 90, 140)),
]
GROUNDS = [
    ((90, 150, 60), (50, 100, 40)),
    ((200, 180, 120), (160, 130, 80)),
    ((220, 225, 235), (180, 190, 210)),
    ((110, 100, 90), (70, 65, 60)),
]
WALLS = [(220, 200, 170), (190, 70, 60), (240, 240, 235), (120, 150, 190), (230, 190, 80)]
ROOFS = [(120, 50, 40), (70, 70, 80), (150, 90, 50)]


def photograph(rng: random.Random) -> Image.Image:
    """One scene."""
    width, height = rng.choice(SIZES)
    side, horizon = min(width, height), int(height * rng.uniform(0.45, 0.7))
    sky = _gradient(width, horizon, *rng.choice(SKIES))
    ground = _gradient(width, height - horizon, *rng.choice(GROUNDS))
    image = Image.fromarray(np.concatenate([sky, ground]).astype("uint8"))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.6:
        r, x, y = (
            side * rng.uniform(0.05, 0.1),
            width * rng.random(),
            height * rng.uniform(0.1, 0.3),
        )
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 240, rng.randint(120, 220)))
    if rng.random() < 0.5:
        ridge = [(width * k / 6, horizon - side * rng.uniform(0.02, 0.22)) for k in range(7)]
        colour = (rng.randint(60, 130), rng.randint(60, 130), rng.randint(60, 130))
        draw.polygon([(0, horizon), *ridge, (width, horizon)], fill=colour)
    for _ in range(rng.randint(1, 2)):
        _house(
            draw,
            rng,
            rng.uniform(0.05, 0.65) * width,
            horizon + 0.12 * height * rng.random(),
            side,
        )
    for _ in range(rng.randint(0, 3)):
        _tree(draw, rng, rng.random() * width, horizon + 0.2 * height * rng.random(), side)
    image = image.filter(ImageFilter.GaussianBlur(side * 0.004))
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 6, (height, width, 1))
    values = np.asarray(image) * rng.uniform(0.8, 1.1) + noise
    return Image.fromarray(values.clip(0, 255).astype("uint8"))


def make(folder: Path) -> None:
    """All photographs; every 25th is grey, and one file ends too early."""
    rng = random.Random(7)
    for i in range(COUNT):
        image = photograph(rng)
        path = folder / f"photo{i:03}.jpg"
        (image.convert("L") if i % 25 == 0 else image).save(path, quality=88)
        if i == DAMAGED:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def main() -> None:
    """Make the photographs, train as the README says, keep the picture and the figures."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    vaezoo_command = [sys.executable, "-m", "vaezoo.cli"]
    line = ["train", "vae", "--data", "photos", "--image-size", "64"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        make(folder / "photos")
        refused = subprocess.run(
            [*vaezoo_command, *line], cwd=folder, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2, refused.stderr
        started = time.perf_counter()
        line += ["--data.corrupt", "skip"]
        subprocess.run([*vaezoo_command, *line], cwd=folder, check=True)
        seconds = time.perf_counter() - started
        run = folder / "runs" / "vae-photos"
        shutil.copy(run / "samples" / "reconstructions.png", PICTURE)
        result = {
            "machine": machine(),
            "command": " ".join(["vaezoo", *line]),
            "refused without --data.corrupt skip": refused.stderr.strip(),
            "seconds": round(seconds, 1),
            "figures": json.loads((run / "figures.json").read_text()),
            "model": json.loads((run / "config.json").read_text())["model"],
        }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _gradient(
    width: int, height: int, above: tuple[int, int, int], below: tuple[int, int, int]
) -> np.ndarray:
    t = np.linspace(0, 1, height)[:, None, None]
    return (np.array(above) * (1 - t) + np.array(below) * t) * np.ones((height, width, 1))


def _house(draw: ImageDraw.ImageDraw, rng: random.Random, x: float, y: float, side: int) -> None:
    w, h = side * rng.uniform(0.22, 0.4), side * rng.uniform(0.18, 0.32)
    draw.rectangle((x, y - h, x + w, y), fill=rng.choice(WALLS))
    roof = [(x - w * 0.1, y - h), (x + w * 1.1, y - h), (x + w / 2, y - h * 1.6)]
    draw.polygon(roof, fill=rng.choice(ROOFS))
    draw.rectangle((x + w * 0.4, y - h * 0.5, x + w * 0.6, y), fill=(80, 50, 30))
    for left in (0.12, 0.68):
        window = (x + w * left, y - h * 0.75, x + w * (left + 0.2), y - h * 0.45)
        draw.rectangle(window, fill=(60, 80, 110))


def _tree(draw: ImageDraw.ImageDraw, rng: random.Random, x: float, y: float, side: int) -> None:
    t = side * rng.uniform(0.15, 0.3)
    draw.rectangle((x - t * 0.05, y - t * 0.5, x + t * 0.05, y), fill=(90, 60, 40))
    leaves = (rng.randint(20, 70), rng.randint(90, 140), 40)
    draw.ellipse((x - t * 0.3, y - t * 1.1, x + t * 0.3, y - t * 0.4), fill=leaves)


if __name__ == "__main__":
    main()

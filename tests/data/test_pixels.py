"""Images of any mode, size and orientation become the bytes that a model takes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaezoo.data.pixels import look, read
from vaezoo.data.preprocessing import ImagePreprocessing

H, W = 5, 7
WHITE, BLACK = 255, 0


def written(tmp_path: Path, image: Image.Image, name: str = "a.png", **how: Any) -> Path:
    image.save(tmp_path / name, **how)
    return tmp_path / name


def pixels(path: Path, mode: Any = "grey", size: tuple[int, int] = (H, W), **how: Any) -> Any:
    return read(path, ImagePreprocessing(image_size=size, mode=mode, **how))


def test_grey_and_colour_keep_their_values_and_places(tmp_path: Path) -> None:
    colour = np.arange(H * W * 3, dtype=np.uint8).reshape(H, W, 3)
    path = written(tmp_path, Image.fromarray(colour))
    assert pixels(path, "rgb").tolist() == colour.transpose(2, 0, 1).tolist()
    grey = written(tmp_path, Image.fromarray(colour[..., 0]), "grey.png")
    assert pixels(grey).tolist() == [colour[..., 0].tolist()]
    assert pixels(grey, "rgb").tolist() == [colour[..., 0].tolist()] * 3


def test_sixteen_bits_become_their_upper_eight(tmp_path: Path) -> None:
    values = (np.arange(H * W, dtype=np.uint16) * 257).reshape(H, W)
    values[0, 0], values[0, 1] = 65535, 257 + 128
    path = written(tmp_path, Image.fromarray(values))
    assert look(path).grey
    found = pixels(path)[0]
    assert found[1:].tolist() == (values[1:] // 257).tolist()
    assert found[0, :2].tolist() == [255, 1]


def test_bilevel_and_palette_images_are_read_as_they_look(tmp_path: Path) -> None:
    bits = Image.fromarray(np.eye(H, W) > 0)
    assert pixels(written(tmp_path, bits)).tolist() == [(np.eye(H, W) * 255).tolist()]
    colours = Image.new("RGB", (W, H), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    path = written(tmp_path, colours, "palette.png")
    assert not look(path).grey
    assert pixels(path, "rgb")[:, 2, 3].tolist() == [10, 200, 30]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = written(tmp_path, Image.new("CMYK", (W, H), (0, 255, 255, 0)), "a.tif")
    red, green, blue = pixels(path, "rgb")[:, 0, 0]
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (W, H), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, W, 2))
    if mode == "P":
        flat = Image.new("P", (W, H), 1)
        flat.putpalette([9, 9, 9, 0, 0, 0])
        flat.paste(0, (0, 0, W, 2))
        path = written(tmp_path, flat, transparency=0)
    else:
        path = written(tmp_path, image.convert(mode))
    for colour in ("grey", "rgb"):
        found = pixels(path, colour)
        assert set(found[:, :2].flatten().tolist()) == {WHITE}
        assert set(found[:, 2:].flatten().tolist()) == {BLACK}


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    path = written(tmp_path, Image.new("RGBA", (W, H), (0, 0, 0, 128)))
    assert set(pixels(path).flatten().tolist()) == {127}


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    """EXIF orientation 6: the camera was turned, so the first stored row is the right column."""
    stored = np.zeros((H, W), np.uint8)
    stored[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = written(tmp_path, Image.fromarray(stored), exif=exif)
    assert (look(path).height, look(path).width) == (W, H)
    upright = pixels(path, size=(W, H))[0]
    assert set(upright[:, -1].tolist()) == {255}
    assert set(upright[:, :-1].flatten().tolist()) == {0}


def thirds(tmp_path: Path) -> Path:
    """30 wide, 10 high: dark, light and dark thirds."""
    image = Image.new("L", (30, 10), 50)
    image.paste(200, (10, 0, 20, 10))
    return written(tmp_path, image)


def test_cropping_takes_the_middle(tmp_path: Path) -> None:
    assert set(pixels(thirds(tmp_path), size=(10, 10)).flatten().tolist()) == {200}


def test_stretching_keeps_all_of_it(tmp_path: Path) -> None:
    columns = pixels(thirds(tmp_path), size=(10, 15), resize="stretch")[0, 5]
    assert columns[[0, 7, 14]].tolist() == [50, 200, 50]


def test_padding_keeps_the_proportions_on_black(tmp_path: Path) -> None:
    found = pixels(thirds(tmp_path), size=(30, 30), resize="pad")[0]
    assert set(found[10:20, 10:20].flatten().tolist()) == {200}
    assert set(found[:10].flatten().tolist() + found[20:].flatten().tolist()) == {0}


def test_making_small_averages_instead_of_picking(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    found = pixels(written(tmp_path, Image.fromarray(stripes)), size=(8, 8))
    assert 100 < found.min() <= found.max() < 155


def test_a_large_photograph_looks_as_it_does_when_it_is_decoded_whole(tmp_path: Path) -> None:
    stripes = np.repeat(np.array([20, 230] * 40, np.uint8), 8)
    path = written(tmp_path, Image.fromarray(np.tile(stripes, (640, 1))), "a.jpg", quality=95)
    with Image.open(path) as image:
        whole = np.asarray(image.resize((160, 160), Image.Resampling.BICUBIC)).astype(int)
    found = pixels(path, size=(160, 160))[0].astype(int)
    assert np.sqrt(((found - whole) ** 2).mean()) < 12


def test_of_an_animation_the_first_image_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("L", (W, H), level) for level in (30, 90)]
    path = written(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert set(pixels(path).flatten().tolist()) == {30}


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(np.ones((H, W), np.float32)), "a.tif")
    with pytest.raises(ValueError, match="floating-point numbers"):
        pixels(path)


@pytest.mark.parametrize(("dtype", "value"), [(np.int32, 70_000), (np.int32, -3)])
def test_more_than_sixteen_bits_are_refused(tmp_path: Path, dtype: Any, value: int) -> None:
    values = np.full((H, W), value, dtype)
    path = written(tmp_path, Image.fromarray(values), "a.tif")
    with pytest.raises(ValueError, match=f"whole numbers of {value} to {value}, .*16 bits"):
        pixels(path)


def test_sixteen_bit_tiffs_become_their_upper_eight(tmp_path: Path) -> None:
    values = np.arange(H * W, dtype=np.uint16).reshape(H, W) * 1700
    path = written(tmp_path, Image.fromarray(values), "a.tif")
    assert pixels(path)[0].tolist() == (values / 257).round().tolist()


def test_a_tiff_that_pillow_does_not_read_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, Image.fromarray(np.ones((H, W), np.float32)), "a.tif")
    content = bytearray(path.read_bytes())
    assert content[:2] == b"II"
    start = int.from_bytes(content[4:8], "little") + 2
    for entry in range(start, start + 12 * content[start - 2], 12):
        if int.from_bytes(content[entry : entry + 2], "little") == 258:  # bits of a pixel
            content[entry + 8] = 64
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"does not read this kind of TIFF.*8 or 16 bits"):
        pixels(path)


def test_heic_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(ValueError, match="pip install pillow-heif"):
        pixels(tmp_path / "a.HEIC")
    registered: list[str] = []
    fake = ModuleType("pillow_heif")
    fake.register_heif_opener = lambda: registered.append("heic")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    with pytest.raises(OSError, match="cannot identify"):
        pixels(tmp_path / "a.HEIC")
    assert registered == ["heic"]

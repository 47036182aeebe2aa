"""A text is a dataset's name or a path, and plugins may read files of their own kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vaezoo.data import as_data
from vaezoo.errors import DataError, MissingRequirementError, UnknownComponentError
from vaezoo.registry.paths import chosen_dataset


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("photos/", "image-folder"),
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.tsv", "csv"),
        ("a.npy", "array"),
        ("a.npz", "array"),
        ("a.safetensors", "array"),
        ("dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz", "dsprites"),
    ],
)
def test_what_a_path_is_tells_who_reads_it(tmp_path: Path, name: str, dataset: str) -> None:
    path = tmp_path / name
    path.mkdir() if name.endswith("/") else path.touch()
    assert chosen_dataset(name) == {"name": dataset, "path": str(path)}
    assert chosen_dataset(Path(name)) == chosen_dataset(str(path)) == chosen_dataset(name)


def test_a_name_wins_over_a_path_unless_it_is_written_as_one(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    assert chosen_dataset("mnist") == {"name": "mnist"}
    for path in ("./mnist", "mnist/", Path("mnist"), str(tmp_path / "mnist")):
        assert chosen_dataset(path)["name"] == "image-folder"


def test_what_is_neither_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        UnknownComponentError,
        match=r"Did you mean 'mnist'\?.*Nor is there a file or folder 'mnits'",
    ):
        chosen_dataset("mnits")
    for path in ("photos/2024", "a.csv", Path("photos")):
        with pytest.raises(
            DataError, match=r"no file or folder '.*', and no dataset of that name"
        ):
            chosen_dataset(path)


def test_a_file_that_nobody_reads_is_refused_with_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.docx").touch()
    with pytest.raises(DataError, match=r"no dataset reads 'a\.docx': .*\*\.npy, .*\*\.csv"):
        chosen_dataset("a.docx")


def test_a_choice_may_have_options_and_a_path_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n3,4\n" * 9)
    by_path = as_data({"path": "a.csv", "test": 0.5})
    by_name = as_data({"name": "csv", "path": Path("a.csv"), "test": 0.5})
    assert by_path.description == by_name.description
    assert len(by_path.split("test")) == 9
    (tmp_path / "a.txt").write_bytes((tmp_path / "a.csv").read_bytes())
    assert as_data({"name": "csv", "path": "a.txt"}).title == "a"
    assert len(as_data({"name": "sprites", "test": 3}).split("test")) == 3


CODE = """
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.DatasetSpec(
        name="lab/spectra", target="lab_data.spectra:spectra", reads=("*.spec", "*.npy")
    )
    yield vaezoo.DatasetSpec(
        name="lab/needy", target="lab_data.spectra:spectra", reads=("*.need",), requires=("nope",)
    )
"""
RECIPE = '''
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path
import torch
from vaezoo.data import TensorSource, named_splits

@dataclass(frozen=True, kw_only=True)
class Options:
    path: str
    """The file."""
    scale: float = 1.0
    """What its numbers are multiplied by."""

def spectra(options: Options, root):
    numbers = [float(word) * options.scale for word in Path(options.path).read_text().split()]
    source = TensorSource(torch.tensor(numbers).view(-1, 2))
    return named_splits(
        "lab/spectra", {"train": (source, "all")},
        options={"path": options.path, "scale": options.scale},
    )
'''


@pytest.fixture
def plugin(install_plugin: Callable[..., Path]) -> None:
    code = {"lab_data/__init__.py": CODE, "lab_data/spectra.py": RECIPE}
    install_plugin(distribution="lab-data", entry_point="lab", code=code)


@pytest.mark.usefixtures("plugin")
def test_a_plugin_may_read_files_of_its_own_kind(tmp_path: Path) -> None:
    (tmp_path / "a.spec").write_text("1 2 3 4 5 6")
    assert as_data("a.spec").input_shape == (2,)
    scaled = as_data({"path": "a.spec", "scale": 10.0})
    assert scaled.train.examples(torch.tensor([2]))[0].tolist() == [[50, 60]]
    assert (scaled.title, scaled.name) == ("a", "lab/spectra")
    again = as_data({"name": scaled.name, **scaled.description["options"]})
    assert again.description == scaled.description


@pytest.mark.usefixtures("plugin")
def test_what_the_core_reads_it_goes_on_reading(tmp_path: Path) -> None:
    (tmp_path / "a.npy").touch()
    assert chosen_dataset("a.npy")["name"] == "array"


@pytest.mark.usefixtures("plugin")
def test_a_name_with_a_slash_is_a_name_unless_there_is_such_a_folder(tmp_path: Path) -> None:
    assert chosen_dataset("lab/spectra") == {"name": "lab/spectra"}
    (tmp_path / "lab" / "spectra").mkdir(parents=True)
    assert chosen_dataset("lab/spectra")["name"] == "image-folder"


@pytest.mark.usefixtures("plugin")
def test_a_reader_that_needs_another_package_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.need").touch()
    with pytest.raises(MissingRequirementError, match="pip install nope"):
        as_data("a.need")

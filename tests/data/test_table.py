"""A CSV becomes standardized vectors, and every fault in it is named by line and column."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vaezoo
from vaezoo.data import Data, TablePreprocessing, as_data
from vaezoo.errors import DataError, DataWarning, OptionError

N = 40


def rows() -> np.ndarray[Any, Any]:
    """(N, 3), columns of different units; the last does not vary."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(N, 3)) * [1.0, 250.0, 0.0] + [3.0, -1000.0, 0.1]
    return x.round(3)


def text(x: Any = None, header: str | None = "a,b,c", separator: str = ",") -> str:
    lines = [separator.join(map(str, row)) for row in (rows() if x is None else x)]
    return "\n".join([header.replace(",", separator), *lines] if header else lines) + "\n"


def file(tmp_path: Path, content: str, name: str = "a.csv") -> Path:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path / name


def read(path: Path, **options: Any) -> Data:
    return as_data({"name": "csv", "path": path, **options})


def examples(data: Data, split: str = "train") -> torch.Tensor:
    source = data.split(split)
    return source.examples(torch.arange(len(source)))[0]


def how(data: Data) -> TablePreprocessing:
    assert isinstance(data.preprocessing, TablePreprocessing)
    return data.preprocessing


def plain(path: Path, **options: Any) -> torch.Tensor:
    """All rows in their order, as they are in the file."""
    return examples(read(path, validation=0, test=0, standardize=False, **options))


def test_columns_are_standardized_by_the_training_rows_alone(tmp_path: Path) -> None:
    data = as_data(file(tmp_path, text()))
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 32,
        "validation": 4,
        "test": 4,
    }
    train = examples(data).double()
    assert train[:, :2].mean(0).abs().max() < 1e-6
    assert (train[:, :2].std(0, unbiased=False) - 1).abs().max() < 1e-6
    assert train.dtype == torch.float64
    assert examples(data, "test")[:, :2].mean(0).abs().min() > 1e-3
    assert how(data).columns == ("a", "b", "c")


def test_a_column_that_does_not_vary_becomes_zero(tmp_path: Path) -> None:
    data = as_data(file(tmp_path, text()))
    assert how(data).std[2] == 1.0
    assert examples(data)[:, 2].abs().max() < 1e-6


def test_the_way_back_gives_the_numbers_of_the_file(tmp_path: Path) -> None:
    data = read(file(tmp_path, text()), validation=0, test=0)
    restored = how(data).restore(examples(data))
    order = restored[:, 1].argsort()
    assert torch.allclose(restored[order], torch.tensor(rows()[rows()[:, 1].argsort()]), rtol=1e-6)


def test_the_change_of_units_is_that_of_a_density(tmp_path: Path) -> None:
    """Of N(mean, std²) and its standardization N(0, 1): log p(x) = log p(x') + log_det."""
    preprocessing = how(as_data(file(tmp_path, text())))
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    x = torch.tensor(rows())
    own = torch.distributions.Normal(mean.double(), std.double()).log_prob(x).sum(1)
    unit = torch.distributions.Normal(0.0, 1.0).log_prob((x - mean) / std).sum(1)
    assert torch.allclose(own, unit + preprocessing.log_det)


def test_standardizing_can_be_left_out(tmp_path: Path) -> None:
    path = file(tmp_path, text())
    assert torch.equal(plain(path), torch.tensor(rows()).float())
    assert how(read(path, standardize=False)).log_det == 0


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found_out(tmp_path: Path, separator: str) -> None:
    path = file(tmp_path, text(separator=separator))
    assert torch.equal(plain(path), torch.tensor(rows()).float())


@pytest.mark.parametrize("delimiter", ["tab", r"\t", "\t"])
def test_a_tab_can_be_written(tmp_path: Path, delimiter: str) -> None:
    path = file(tmp_path, text(header="a,b;x,c", separator="\t"), "a.tsv")
    assert plain(path, delimiter=delimiter, columns=("b;x",)).shape == (N, 1)


def test_a_file_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    data = read(file(tmp_path, text(header=None)), validation=0, test=0, drop=("1",))
    assert (how(data).columns, how(data).header) == (("2", "3"), False)
    assert len(data.train) == N


def test_whether_there_is_a_header_can_be_said(tmp_path: Path) -> None:
    path = file(tmp_path, text(header="2019,2020,2021"))
    with pytest.warns(vaezoo.DataWarning, match=r"2019, 2020, 2021.*--data\.header yes"):
        assert len(plain(path)) == N + 1
    data = read(path, header=True, validation=0, test=0)
    assert (len(data.train), how(data).columns) == (N, ("2019", "2020", "2021"))


def test_a_header_of_words_and_numbers_is_recognised_as_the_fault(tmp_path: Path) -> None:
    path = file(tmp_path, text(header="id,2019,2020"))
    for corrupt in ("refuse", "skip"):  # it is never skipped as a bad row
        with pytest.raises(vaezoo.DataError, match=r"line 1.*'id'.*--data\.header yes"):
            read(path, corrupt=corrupt)


def test_a_column_of_words_may_be_named_as_the_labels(tmp_path: Path) -> None:
    path = file(tmp_path, "a,kind\n1,cat\n2,dog\n3,cat\n")
    with pytest.raises(
        vaezoo.DataError,
        match=r"column 'kind' holds 'cat'.* name it as label \(--data\.label\) if it holds",
    ):
        read(path)
    assert read(path, label="kind", validation=0, test=0).classes == ("cat", "dog")


@pytest.mark.parametrize("yes", [True, "yes", "True", "true", "on", "1"])
@pytest.mark.parametrize("no", [False, "no", "False", "false", "off", "0"])
def test_a_header_is_said_in_any_of_the_usual_words(tmp_path: Path, yes: Any, no: Any) -> None:
    path = file(tmp_path, text(header="2019,2020,2021"))
    assert how(read(path, header=yes)).header is True
    data = read(path, header=no)
    assert how(data).header is False
    assert data.description["options"]["header"] is False  # however it was said


def test_whether_there_is_a_header_is_found_out_unless_said(tmp_path: Path) -> None:
    path = file(tmp_path, text())
    assert all(how(read(path, header=auto)).header for auto in (None, "auto", "Auto"))
    with pytest.raises(vaezoo.OptionError, match="header must be auto, yes or no, not 'maybe'"):
        read(path, header="maybe")


def comma(header: str | None = "a;b", separator: str = ";") -> str:
    """Two columns of three rows, with decimals after a comma."""
    lines = [separator.join(row) for row in (("1,5", "-2,75"), ("3", "4,25e1"), (" 0,5", "1"))]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_decimals_may_follow_a_comma(tmp_path: Path, header: bool, separator: str) -> None:
    path = file(tmp_path, comma(separator.join("ab") if header else None, separator))
    assert plain(path, decimal=",").tolist() == [[1.5, -2.75], [3, 42.5], [0.5, 1]]
    one = file(tmp_path, "1,5\n2\n", "one.csv")
    assert plain(one, decimal=",").tolist() == [[1.5], [2]]
    quoted = file(tmp_path, '"1,5","2,5"\n"3,5","4"\n', "quoted.csv")
    assert plain(quoted, decimal=",", delimiter=",").tolist() == [[1.5, 2.5], [3.5, 4]]


@pytest.mark.parametrize("header", ["a;b", None])
def test_decimals_after_a_comma_are_recognised_as_the_fault(
    tmp_path: Path, header: str | None
) -> None:
    path = file(tmp_path, comma(header))
    line = 2  # without a header the first line is taken for one: it holds no number
    with pytest.raises(
        vaezoo.DataError, match=rf"line {line}, column .* decimal=',' \(--data\.decimal ,\)"
    ):
        read(path)


def test_a_point_is_no_decimal_where_these_follow_a_comma(tmp_path: Path) -> None:
    path = file(tmp_path, "a;b\n1,5;2\n1.234;3\n")
    with pytest.raises(
        vaezoo.DataError, match=r"line 3, column 'a' holds '1\.234', .* follow a comma"
    ):
        read(path, decimal=",")


def test_a_byte_order_mark_quotes_blank_lines_and_spaces_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeff"a","b, c"\r\n\r\n 1 ,"2"\r\n3, 4\r\n', encoding="utf-8")
    assert plain(path, columns=("a", "b, c")).tolist() == [[1, 2], [3, 4]]


def test_columns_are_chosen_in_their_order_or_left_out(tmp_path: Path) -> None:
    path = file(tmp_path, text())
    chosen = plain(path, columns=("c", "a"))
    assert torch.equal(chosen, torch.tensor(rows()[:, [2, 0]]).float())
    assert torch.equal(plain(path, drop=("b",)), torch.tensor(rows()[:, [0, 2]]).float())


@pytest.mark.parametrize(
    ("words", "classes", "indices"),
    [
        (["dog", "cat", "", "dog"], ("cat", "dog"), [1, 0, -1, 1]),
        (["10", "9", "9", "10"], ("9", "10"), [1, 0, 0, 1]),
        (["1.0", "0", "1", "0.0"], ("0", "1"), [1, 0, 1, 0]),
    ],
)
def test_a_column_of_labels_is_classes(
    tmp_path: Path, words: list[str], classes: tuple[str, ...], indices: list[int]
) -> None:
    lines = "".join(f"{i},{word},{i * i}\n" for i, word in enumerate(words))
    data = read(file(tmp_path, f"a,kind,b\n{lines}"), label="kind", validation=0, test=0)
    assert (data.classes, data.input_shape) == (classes, (2,))
    x, y = data.train.examples(torch.arange(4))
    assert y is not None
    place = how(data).restore(x)[:, 0].round().long()
    assert y.tolist() == [indices[i] for i in place]


def test_what_is_recorded_makes_the_same_data_again(tmp_path: Path) -> None:
    data = read(file(tmp_path, text()), drop=("b",), split_seed=4, test=0.3)
    again = as_data({"name": "csv", **data.description["options"]})
    assert again.description == data.description
    assert again.preprocessing == data.preprocessing
    assert torch.equal(examples(again), examples(data))


GOOD = "a,b\n1,2\n3,4\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + "5,\n", "line 4, column 'b' holds nothing"),
        (GOOD + "5,x\n", "line 4, column 'b' holds 'x', which is no finite number"),
        (GOOD + "nan,6\n", "line 4, column 'a' holds 'nan'"),
        (GOOD + "5,inf\n", "line 4, column 'b' holds 'inf'"),
        (GOOD + "5,1e999\n", "line 4, column 'b' holds '1e999'"),
        (GOOD + "\n5,6,7\n", "line 5 has 3 cells, and the file 2 columns"),
        (GOOD + "5\n", "line 4 has 1 cell"),
        ("", "is empty"),
        ("a,b\n", "holds no rows of numbers"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        (",a\n0,2\n", r"column 1 no name .*--data\.drop 1"),
        ("a,b\n1e300,1\n-1e300,2\n", "column 'a' cannot be standardized"),
    ],
)
def test_faults_are_named_by_line_and_column(tmp_path: Path, content: str, message: str) -> None:
    path = file(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path, validation=0, test=0)
    assert str(path) in str(caught.value) or "standardized" in message


def test_what_to_do_about_a_faulty_cell_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data\.drop.*--data\.corrupt skip"):
        read(file(tmp_path, GOOD + "5,\n"))


def test_faulty_rows_are_skipped_if_asked_and_counted(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD + "5,\nx,6\n7,8\n9\n")
    with pytest.warns(DataWarning, match=r"3 of 6 rows in .* skipped, the first: line 4, column"):
        data = read(path, validation=0, test=0, standardize=False, corrupt="skip")
    assert sorted(examples(data).tolist()) == [[1, 2], [3, 4], [7, 8]]
    assert data.description["skipped"] == 3


def test_a_label_that_is_no_class_is_named(tmp_path: Path) -> None:
    path = file(tmp_path, "a,b\n1,2\n3,0.5\n")
    with pytest.raises(DataError, match=r"line 3, column 'b' holds '0\.5': labels are classes"):
        read(path, label="b")
    with pytest.raises(DataError, match="every cell of the column 'b' of labels is empty"):
        read(file(tmp_path, "a,b\n1,\n3,\n"), label="b", validation=0, test=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("a", "bb")}, r"no column 'bb'\. Did you mean 'b'\?"),
        ({"label": "lable"}, "no column 'lable'"),
        ({"drop": ("d",)}, "no column 'd'"),
        ({"drop": ("a", "b", "c")}, "no columns are left"),
        ({"columns": ("a", "a")}, "names one of them twice"),
    ],
)
def test_columns_that_are_not_there_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(file(tmp_path, text()), **options)


def test_what_is_no_delimiter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="delimiter must be auto, tab or one character"):
        read(file(tmp_path, text()), delimiter="comma")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("a,ä\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="is no text in UTF-8"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("std", [0.0, -1.0, math.inf])
def test_a_standardization_that_divides_by_nothing_is_refused(std: float) -> None:
    from vaezoo.data.preprocessing import preprocessing_from_json

    value = {"name": "standardize", "columns": ["a"], "mean": [0.0], "std": [std]}
    with pytest.raises(OptionError, match="std"):
        preprocessing_from_json(value)


def test_weights_that_go_on_under_other_means_are_warned_of(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.csv")]
    rows = np.random.default_rng(0).normal(size=(40, 3))
    for path, shift in zip(paths, (0, 100), strict=True):
        np.savetxt(path, rows + shift, delimiter=",", header="p,q,r", comments="")
    options: dict[str, Any] = {"steps": 2, "batch_size": 8, "progress": False}
    model = vaezoo.create("vae", input_shape=(3,), latent_dim=2)
    vaezoo.fit(model, paths[0], **options)
    vaezoo.fit(model, paths[0], **options)  # the same means: no warning, which would be an error
    with pytest.warns(DataWarning, match="b is read otherwise"):
        vaezoo.fit(model, paths[1], **options)

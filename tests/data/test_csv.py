"""The user's `.csv` files: what is read, and one clear sentence with the line for what cannot be."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.errors import InputError

PLAIN = "a,b,label\n1,2,cat\n3,4,dog\n5,6,cat\n"


def read(folder: Path, text: str | bytes) -> Dataset:
    path = folder / "set.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return data.create("file", path=str(path))


def refusal(folder: Path, text: str | bytes) -> str:
    """The message for a file that cannot be used; it names the file and is on one line."""
    with pytest.raises(InputError) as caught:
        read(folder, text)
    message = str(caught.value)
    assert str(folder / "set.csv") in message and "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip(),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace("cat", '"cat"').replace("3", '"3"').replace("label", '"label"'),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", "\n\n") + "\n,,\n",
        "label,a,b\ncat,1,2\ndog,3,4\ncat,5,6\n",
        "a,label,note,b,empty\n1,cat,x,2,\n3,dog,y,4,\n5,cat,z,6,\n",
        PLAIN.replace("1", "1e0").replace("4", "+4.000").replace("6", ".6E1"),
    ],
)
def test_that_the_same_table_is_read_however_it_is_written(tmp_path, text):
    dataset = read(tmp_path, text)
    assert np.array_equal(dataset.x, [[1, 2], [3, 4], [5, 6]]) and dataset.x.dtype == np.float32
    assert dataset.class_names == ("cat", "dog")
    assert np.array_equal(dataset.y, [0, 1, 0]) and dataset.y.dtype == np.int64
    assert np.array_equal(dataset.ids, [0, 1, 2]) and dataset.name == "set.csv"


def test_that_class_names_may_hold_commas_quotes_lines_and_any_script(tmp_path):
    dataset = read(tmp_path, 'a,label\n1,"x, ""y"""\n2,"two\nlines"\n3,größe\n4,猫\n5,猫\n')
    assert sorted(dataset.class_names) == sorted(('x, "y"', "two\nlines", "größe", "猫"))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1", "9"], ("-1", "9", "10")),
        (["10", "9", "b", "9"], ("10", "9", "b")),
        (["b", "a", "B", "a"], ("B", "a", "b")),
        (["0.5", "2", "0.5", "10"], ("0.5", "2", "10")),
        (["nan", "2", "nan", "10"], ("10", "2", "nan")),
    ],
)
def test_that_classes_are_sorted_as_numbers_where_all_are_numbers(tmp_path, labels, names):
    dataset = read(tmp_path, "a,label\n" + "".join(f"{row},{label}\n" for row, label in enumerate(labels)))
    assert dataset.class_names == names
    assert [names[number] for number in dataset.y] == labels


def test_that_blocks_of_a_long_file_are_put_together(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9_000, 3)).astype(np.float32)
    y = rng.integers(0, 5, 9_000)
    rows = "".join(f"{a!r},{b!r},word,{label},{c!r}\n" for (a, b, c), label in zip(x.tolist(), y, strict=True))
    dataset = read(tmp_path, "a,b,text,label,c\n" + rows)
    assert np.array_equal(dataset.x, x) and np.array_equal(dataset.y, y)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("is empty",)),
        ("\n1,2\n", ("is empty, or its first line is",)),
        ("a,b,label\n", ("no items",)),
        ("a,b,label\n\n\n", ("no items",)),
        ("a,b\n1,2\n", ("no column 'label'", "a, b", "first line")),
        ("a,Label\n1,2\n", ("no column 'label'", "Did you mean 'Label'?")),
        ("a, LABEL \n1,2\n", ("Did you mean 'LABEL'?",)),
        ("a;b;class\n1;2;3\n", ("no column 'label'", "a, b, class", "Did you mean 'class'?")),
        (",".join(f"c{place}" for place in range(30)) + "\n", ("c9, ...",)),
        ("a,,label\n0,1,x\n", ("Column 2", "no name", "index=False")),
        ("a,label,\n1,x,2\n", ("Column 3", "no name")),
        ("a,b,a,label\n1,2,3,x\n", ("2 columns called 'a'",)),
        ("a,label,label\n1,x,y\n", ("2 columns called 'label'",)),
        ("a,b,label\n1,2,x\n1,2\n", ("line 3", "2 values", "3 columns")),
        ("a,b,label\n1,2,x\n\n1,2,x,9\n", ("line 4", "4 values", "3 columns")),
        ("a,label\nred,x\nblue,y\n", ("no column of numbers beside 'label'",)),
        ("label\nx\ny\n", ("no column of numbers",)),
        ("a,b,label\n1,2,x\n3,,y\n", ("line 3", "column 'b'", "no value", "line 2")),
        ("a,b,label\n1,2,x\n3,  ,y\n", ("line 3", "column 'b'", "no value")),
        ("a,b,label\n1,2,x\n3,NaN,y\n", ("line 3", "column 'b'", "'NaN'", "no finite number")),
        ("a,b,label\n1,2,x\n3,-inf,y\n", ("line 3", "column 'b'", "'-inf'")),
        ("a,b,label\n1,2,x\n3,1e999,y\n", ("line 3", "'1e999'")),
        ("a,b,label\n1,2,x\n3,n/a,y\n4,5,x\n", ("line 3", "column 'b'", "'n/a'", "line 2 has '2'")),
        ("a,b,label\n1,?,x\n3,4,y\n", ("line 2", "column 'b'", "'?'", "line 3 has '4'")),
        ("a,b,label\n1,2,x\n3,4,\n", ("line 3", "no value in column 'label'")),
        ("a,b,label\n1,1e300,x\n3,4,y\n", ("too large", "row 0", "1 of 2 rows")),
        ("a,label\n1,x\n2,x\n", ("one class only, x",)),
        ('a,label\n1,"x\ny"\n2,"x\ny"\n', ("one class only, x?y",)),
        ('a,label\n1,x\n"two\x00\nlines",y\n', ("line 4", "'two??lines'")),
        ("a,label\n1,x\n", ("1 item;", "at least 2")),
        ("a,label\n1,0.1\n2,0.2\n3,0.3\n", ("3 different classes", "no positives")),
        ('a,label\n1,"x\n2,y\n', ("not valid CSV", "line 3")),
        ('a,label\n1,"x"y\n', ("line 2", "not valid CSV")),
        ("a,label\n1," + "x" * 200_000 + "\n", ("line 2", "200,000 characters", "too long")),
        ("a,label\n1,größe\n".encode("latin-1"), ("not UTF-8",)),
        (PLAIN.encode("utf-16"), ("not UTF-8",)),
        (bytes(range(256)) * 10, ("not UTF-8",)),
    ],
)
def test_that_a_wrong_table_gets_a_sentence_that_names_the_place(tmp_path, text, words):
    message = refusal(tmp_path, text)
    for word in words:
        assert word in message
    assert len(message) < 400 + len(str(tmp_path))


def test_that_a_stray_text_far_down_is_found_with_its_line(tmp_path):
    rows = [f"{row},{row % 3}" for row in range(10_000)]
    rows[9_500] = "oops,1"
    message = refusal(tmp_path, "a,label\n" + "\n".join(rows))
    assert "line 9502" in message and "'oops'" in message and "line 2 has '0'" in message


def test_that_numbers_after_pages_of_text_make_the_column_mixed(tmp_path):
    rows = [f"{row},word,{row % 3}" for row in range(10_000)]
    rows[9_000] = "1,5,0"
    message = refusal(tmp_path, "a,b,label\n" + "\n".join(rows))
    assert "line 2, column 'b' has 'word'" in message and "line 9002 has '5'" in message


def test_that_a_large_table_loads_in_seconds(tmp_path):
    path = tmp_path / "large.csv"
    line = ",".join(f"0.{number:06d}" for number in range(50))
    path.write_text(
        ",".join(f"f{number}" for number in range(50))
        + ",label\n"
        + "".join(f"{line},c{row % 9}\n" for row in range(30_000))
    )
    start = time.perf_counter()
    dataset = data.create("file", path=str(path))
    assert dataset.x.shape == (30_000, 50)
    assert time.perf_counter() - start < 10


def test_that_reading_a_csv_tells_its_progress_and_can_be_cancelled(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text("a,label\n" + "".join(f"{row},{row % 3}\n" for row in range(20_000)))
    seen = []
    data.create("file", path=str(path), progress=lambda *step: seen.append(step))
    done = [step[0] for step in seen]
    assert len(done) >= 4 and done == sorted(done) and done[0] > 0
    assert done[-1] == seen[-1][1] == path.stat().st_size
    with pytest.raises(LoadCancelled):
        data.create("file", path=str(path), progress=lambda done, total, what: len(seen) < 0)

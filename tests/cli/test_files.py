"""Files and folders of the user's on the command line: what is said of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from tests.cli.conftest import Lab

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
NAMES = np.array(["oak", "ash", "elm"])
TOLD = "60 x 5, 3 classes. Columns: 5 features, 'a' to 'e'; label 'label'; id 'row_id'; left out: 'note' (text)."


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with a column of each kind."""
    rows = (f"{n + 7},{','.join(map(str, row))},text,{NAMES[n % 3]}" for n, row in enumerate(X.tolist()))
    (tmp_path / "mine.csv").write_text("\n".join(("row_id,a,b,c,d,e,note,label", *rows)))
    return tmp_path / "mine.csv"


def test_that_the_first_line_says_what_became_of_each_column(lab: Lab, tiny: Path, table: Path, tmp_path: Path) -> None:
    run = lab("run", tiny, "--data", table, "--record", tmp_path / "run")
    out = tmp_path / "out.npz"
    searched = ("tune", tiny, "--data", table, "--lane", "one", "--option", "optimizer.lr=1e-4..1e-2")
    tune = lab(*searched, "--trials", 1, "--out", tmp_path / "tune")
    for ended in (run, tune, lab("embed", tmp_path / "run", table, out)):
        assert ended.status == 0, ended.err
        assert ended.err.splitlines()[0] == TOLD
        assert ended.err.count(TOLD) == 1
    assert lab("evaluate", table).err.splitlines()[0].startswith(TOLD)
    assert lab("evaluate", tmp_path / "run").err.splitlines()[0].startswith(TOLD)


def test_that_embed_keeps_names_and_ids_however_few_the_items_are(
    lab: Lab, tiny: Path, table: Path, tmp_path: Path
) -> None:
    assert lab("run", tiny, "--data", table, "--record", tmp_path / "run").status == 0
    out = tmp_path / "out.npz"
    assert lab("embed", tmp_path / "run", table, out).status == 0
    made = data.create("file", path=str(out))
    assert made.class_names == ("ash", "elm", "oak") and np.array_equal(made.ids, np.arange(60) + 7)
    assert [made.class_names[label] for label in made.y] == [NAMES[n % 3] for n in range(60)]
    lines = table.read_text().splitlines()
    for kept in (lines[:2], [lines[0], *lines[1::3]], lines[:4]):  # one item, one class, three singletons
        table.write_text("\n".join(kept))
        ended = lab("embed", tmp_path / "run", table, out)
        assert ended.status == 0, ended.err
        with np.load(out) as stored:
            assert len(stored["x"]) == len(kept) - 1
            assert stored["class_names"][stored["y"][0]] == "oak"
    assert "without two items of one class" in lab("run", tiny, "--data", table).err


def test_that_a_file_that_is_missing_is_said_to_be(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    for name in ("my-vectors.npy", "vectors.bin", "there/vectors"):
        ended = lab("run", tiny, "--data", tmp_path / name)
        assert ended.status == 2
        assert f"There is no file '{tmp_path / name}'" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "{tiny}", "--data", "{long}.npz"),
        ("run", "{tiny}", "--data", "{long}"),
        ("run", "{long}.toml"),
        ("evaluate", "{long}"),
        ("features", "{long}", "out.npz", "--backbone", "identity"),
        ("features", "digits", "{long}.npz", "--backbone", "identity"),
        ("demo", "{long}.mp4"),
        ("demo", "{long}/a.mp4"),
        ("bench", "mining", "--growth", "{long}/a.png"),
        ("evaluate", "digits", "--tsne", "{long}/a.png"),
        ("run", "{tiny}", "--data", "mnist", "--set", "data.options.path={long}"),
    ],
)
def test_that_a_name_that_is_too_long_is_a_mistake_of_the_user(
    lab: Lab, tiny: Path, arguments: tuple[str, ...]
) -> None:
    ended = lab(*(word.format(tiny=tiny, long="n" * 300) for word in arguments))
    assert (ended.status, ended.out) == (2, "")
    assert "File name too long" in ended.err and "bug" not in ended.err


def test_that_a_folder_of_pictures_is_data(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for part in ("train", "test"):
        for name, colour in (("cat", "red"), ("dog", "blue")):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for number in range(4):
                image.new("RGB", (9, 9), colour).save(tmp_path / "pets" / part / name / f"{number}.png")
    ended = lab("run", tiny, "--data", tmp_path / "pets", "--set", "data.options.size=4")
    assert ended.status == 0, ended.err
    words = "16 pictures of 4 x 4 in colour, 2 classes. Its parts are not classes: 'train' is trained on, "
    assert ended.err.splitlines()[0] == f"{words}'test' is held out."


@pytest.mark.parametrize("text", ["x = " + "[" * 3000, "a" + ".a" * 3000 + " = 1", "steps = " + "9" * 5000])
def test_that_deep_and_endless_values_get_a_sentence(lab: Lab, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    key, _, value = text.partition(" = ")
    for arguments in ((tmp_path / "mine.toml",), ("--preset", "digits", "--set", f"{key}={value}")):
        ended = lab("run", *arguments)
        assert ended.status == 2
        assert len(ended.err) < 300 + len(str(tmp_path)) and "bug" not in ended.err


def test_that_a_long_value_is_told_by_its_beginning(lab: Lab, tiny: Path) -> None:
    for arguments in (
        ("run", tiny, "--set", "steps=" + "9" * 4000),
        ("run", tiny, "--miner", "9" * 5000),
        ("render", "none", "out.mp4", "--size", "9" * 5000),
        ("tune", tiny, "--option", "9" * 5000),
        ("features", "digits", "out.npz", "--backbone", "identity", "--mean", "9" * 5000),
    ):
        ended = lab(*arguments)
        assert ended.status == 2
        assert len(ended.err) < 900


def test_that_a_configuration_may_begin_with_a_byte_order_mark(lab: Lab, tiny: Path) -> None:
    tiny.write_bytes(b"\xef\xbb\xbf" + tiny.read_bytes())
    assert lab("run", tiny).status == 0


def test_that_the_limits_of_a_video_are_told(lab: Lab) -> None:
    assert "64 to 7,680 each" in lab("render", "none", "out.mp4", "--size", "1x1").err

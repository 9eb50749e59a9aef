from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.offers import LARGEST_CONFIG, kind_of, offer
from hnm_core.data.csv_table import read_csv
from hnm_core.data.npz import read_npz
from hnm_core.errors import InputError
from hnm_core.recording import pack, record
from hnm_core.run.control import Control
from hnm_core.spec import config as configuration
from tests.app import runs


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One file of each kind that can be opened."""
    config = runs.config(steps=3)
    for _event in record(runs.source(seconds_a_round=0)(config, Control()), tmp_path / "my run"):
        pass
    np.savez(tmp_path / "mine.npz", x=np.zeros((4, 2), np.float32), y=np.arange(4) % 2)
    (tmp_path / "table.csv").write_text('\ufeffa, "label"\n1,x\n2,y\n3,x\n4,y\n', encoding="utf-8")
    (tmp_path / "table.parquet").write_bytes(b"PAR1 and the rest")
    (tmp_path / "mine.toml").write_text(configuration.dump(config), encoding="utf-8")
    pack(tmp_path / "my run", tmp_path / "for you.hnmlab")
    return {path.name: path for path in tmp_path.iterdir()}


def test_that_each_kind_is_known_and_said_in_the_words_of_what_will_happen(files):
    said = {name: offer([path], running=False).text for name, path in files.items()}
    assert said == {
        "my run": "Drop to open the recording 'my run'",
        "for you.hnmlab": "Drop to unpack and open the recording 'for you.hnmlab'",
        "mine.npz": "Drop to train on 'mine.npz'",
        "table.csv": "Drop to train on 'table.csv'",
        "table.parquet": "Drop to train on 'table.parquet'",
        "mine.toml": "Drop to open the configuration 'mine.toml'",
    }
    assert all(offer([path], running=False).accepted for path in files.values())


def test_that_while_a_run_is_on_a_recording_stops_it_and_other_files_wait(files):
    assert offer([files["my run"]], running=True).text == "Drop to stop the run and open the recording 'my run'"
    assert offer([files["for you.hnmlab"]], running=True).accepted
    for name in ("mine.npz", "mine.toml"):
        waits = offer([files[name]], running=True)
        assert not waits.accepted
        assert waits.text == f"A run is on. Press R to reset it, then drop '{name}' again."


def bad(folder: Path) -> dict[str, tuple[Path, str]]:
    """Paths that cannot be opened, and words that must say why."""
    np.savez(folder / "lacks.npz", x=np.zeros((4, 2)))
    (folder / "torn.npz").write_bytes(b"PK\x03\x04 and no more")
    (folder / "plain.csv").write_text("a,b\n1,2\n")
    (folder / "plain.parquet").write_bytes(b"a,b\n1,2\n")
    (folder / "empty.npz").touch()
    (folder / "notes.docx").write_bytes(b"PK\x03\x04")
    (folder / "wrong.toml").write_text("steps = -3\n")
    (folder / "torn.toml").write_text("steps = \n")
    (folder / "long.toml").write_bytes(b"#" * (LARGEST_CONFIG + 1))
    (folder / "photos").mkdir()
    (folder / "photos" / "a.png").touch()
    (folder / "newer").mkdir()
    (folder / "newer" / "run.json").write_text(json.dumps({"kind": "hnm-lab recording", "schema": 99}))
    said = {
        "lacks.npz": "no array 'y'",
        "torn.npz": "no .npz file",
        "plain.csv": "no column 'label'",
        "plain.parquet": "no .parquet file",
        "empty.npz": "empty",
        "notes.docx": ".npz",
        "wrong.toml": "steps",
        "torn.toml": "torn.toml",
        "long.toml": "too long",
        "photos": "no recording (it has no run.json)",
        "newer": "newer version",
        "gone.npz": "No such file",
    }
    return {name: (folder / name, words) for name, words in said.items()}


def test_that_what_cannot_be_opened_is_refused_by_name_with_the_reason(tmp_path):
    for name, (path, words) in bad(tmp_path).items():
        refused = offer([path], running=False)
        assert not refused.accepted, name
        assert words in refused.text, refused.text
        assert name in refused.text
        assert str(tmp_path) not in refused.text, "there is room for the name only"


def test_that_the_readers_agree_about_what_cannot_be_opened(tmp_path, files):
    there = bad(tmp_path)
    for read, names in ((read_npz, ("lacks.npz", "torn.npz", "empty.npz")), (read_csv, ("plain.csv",))):
        for name in names:
            with pytest.raises(InputError):
                read(there[name][0])
    assert len(read_npz(files["mine.npz"]).y) == 4
    assert len(read_csv(files["table.csv"]).y) == 4


def test_that_of_several_files_the_first_that_can_be_opened_is_taken_and_named(tmp_path, files):
    notes = bad(tmp_path)["notes.docx"][0]
    assert (
        offer([files["mine.npz"], notes], running=False).text == "Drop to train on 'mine.npz'; the other is left alone"
    )
    best = offer([notes, files["table.csv"], files["mine.npz"]], running=False)
    assert (best.path, best.text) == (
        files["table.csv"],
        "Drop to train on 'table.csv'; the other 2 are left alone",
    )
    assert "notes.docx" in offer([notes, tmp_path / "photos"], running=False).text


def test_that_what_is_no_file_of_this_computer_is_refused():
    assert offer([], running=False).text == "Only files and folders of this computer can be opened."


def test_that_a_long_first_line_of_a_table_is_not_judged(tmp_path):
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(f"feature_{place}" for place in range(20_000)) + ",label\n")
    assert kind_of(wide) == "data"


def test_that_vectors_and_their_labels_dropped_together_are_one_set(tmp_path):
    vectors, numbers, words = tmp_path / "first.npy", tmp_path / "second.npy", tmp_path / "words.txt"
    np.save(vectors, np.eye(4, dtype=np.float32))
    np.save(numbers, np.arange(4) % 2)
    words.write_text("a\nb\na\nb\n")
    for labels in (numbers, words):
        for dropped in ([vectors, labels], [labels, vectors]):
            best = offer(dropped, running=False)
            assert best.text == f"Drop to train on 'first.npy' with the labels in '{labels.name}'"
            assert (best.path, best.labels, best.kind) == (vectors, labels, "data")
    assert not offer([vectors, numbers], running=True).accepted
    for others in ([vectors, vectors], [vectors, numbers, words], [numbers, words]):
        assert offer(others, running=False).labels is None

"""What a person decided on doubtful items, kept line by line and applied to a set."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.offers import kind_of
from hnm_core import data
from hnm_core.data import decision_file, retrieval
from hnm_core.data.review import Decision, Review, Subject, read, reviewing, subject
from hnm_core.errors import InputError
from hnm_core.spec.data_files import is_review
from hnm_core.spec.request import data_config
from hnm_core.system.locks import try_lock

KEEP, DROP = Decision(3, "3", "keep"), Decision(5, "5", "drop")
RELABEL = Decision(8, "8", "relabel", "1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A review with one decision of each kind."""
    path = tmp_path / "review.jsonl"
    with reviewing(path, subject(data.create("digits"))) as ongoing:
        for decision in (KEEP, DROP, RELABEL):
            ongoing.decide(decision)
    return path


def test_that_decisions_are_read_as_they_were_made_and_the_last_on_an_item_counts(path: Path) -> None:
    assert read(path).decisions == (KEEP, DROP, RELABEL)
    with reviewing(path, subject(data.create("digits"))) as ongoing:
        ongoing.decide(Decision(5, "5", "keep"))
        assert read(path).counts() == {"keep": 2, "drop": 0, "relabel": 1}, "it is in the file already"
        assert ongoing.undo() == Decision(5, "5", "keep")
        assert ongoing.undo() == RELABEL
        ongoing.decide(Decision(9, "9", "drop"))
    review = read(path)
    assert review.decisions == (KEEP, DROP, Decision(9, "9", "drop"))
    assert review.counts() == {"keep": 1, "drop": 2, "relabel": 0}


def test_that_nothing_can_be_undone_before_the_first_decision(tmp_path: Path) -> None:
    with reviewing(tmp_path / "r.jsonl", subject(data.create("digits"))) as ongoing:
        assert ongoing.undo() is None
    assert read(tmp_path / "r.jsonl").decisions == ()


def test_that_a_reviewed_set_lacks_what_was_dropped_and_has_new_labels(path: Path) -> None:
    plain = data.create("digits")
    reviewed = data.create("reviewed", of="digits", review=str(path))
    assert reviewed.ids.tolist() == [item for item in plain.ids.tolist() if item != 5]
    changed = plain.y[plain.ids != 5] != reviewed.y
    assert reviewed.ids[changed].tolist() == [8]
    assert reviewed.y[changed].tolist() == [1]
    assert np.array_equal(reviewed.x, plain.x[plain.ids != 5])
    assert "1 items have another label, 1 are left out" in reviewed.as_read
    assert plain.y[8] == 8, "the set itself is as it was"


def test_that_true_classes_stay_where_they_are_known(tmp_path: Path) -> None:
    noisy = data.create("label-noise", noise=0.1, seed=3)
    wrong = np.flatnonzero(noisy.y != noisy.y_true)
    with reviewing(tmp_path / "r.jsonl", subject(noisy)) as ongoing:
        for row in wrong:
            names = noisy.class_names
            ongoing.decide(Decision(int(noisy.ids[row]), names[noisy.y[row]], "relabel", names[noisy.y_true[row]]))
    options = {"of": "label-noise", "of_options": {"noise": 0.1}, "review": str(tmp_path / "r.jsonl")}
    mended = data.create("reviewed", seed=3, **options)
    assert np.array_equal(mended.y, noisy.y_true)
    assert np.array_equal(mended.y_true, noisy.y_true)
    with pytest.raises(InputError, match="review of other data"):
        data.create("reviewed", seed=4, **options)


def test_that_a_line_that_was_cut_off_is_told_and_made_good(path: Path) -> None:
    whole = path.read_bytes()
    for cut in range(len(whole) - 40, len(whole)):
        path.write_bytes(whole[:cut])
        review = read(path)
        assert review.torn == (not whole[:cut].endswith(b"\n"))
        assert review.decisions == (KEEP, DROP)
        with reviewing(path, subject(data.create("digits"))) as ongoing:
            ongoing.decide(Decision(11, "1", "keep"))
        assert read(path) == Review((KEEP, DROP, Decision(11, "1", "keep")), read(path).of)


def test_that_a_review_that_was_cut_off_in_its_first_line_is_of_its_data_from_the_next_sitting_on(path: Path) -> None:
    whole = path.read_bytes()
    for cut in (0, 1, 20, whole.index(b"\n")):
        path.write_bytes(whole[:cut])
        with reviewing(path, subject(data.create("digits"))) as ongoing:
            ongoing.decide(DROP)
        assert read(path).decisions == (DROP,)
        with pytest.raises(InputError, match="review of other data"):
            data.create("reviewed", of="blobs", review=str(path))


def test_that_no_bit_of_a_review_can_change_what_was_decided(path: Path) -> None:
    whole, known = path.read_bytes(), read(path)
    refused = 0
    for at in range(8 * (len(whole) - 1)):  # the last is the end of the last line
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            found = read(path)
        except InputError:
            refused += 1
        else:
            assert found == known, (at, bytes(damaged))
    assert refused > 6 * len(whole)


def test_that_a_line_of_somebody_else_needs_no_checksum_and_one_with_a_wrong_one_is_named(path: Path) -> None:
    more = b'{"item": 15, "label": "5", "verdict": "drop"}\n'
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + more + b"".join(lines[2:]))
    assert read(path).decisions == (Decision(15, "5", "drop"), DROP, RELABEL)
    path.write_bytes(path.read_bytes().replace(b'"item": 5,', b'"item": 15,'))
    with pytest.raises(InputError, match=r"line 3, is not as it was written\. If you have changed it yourself"):
        read(path)


def test_that_a_number_that_was_damaged_does_not_decide_on_another_item(path: Path) -> None:
    """In a file of before there were checksums."""
    plain = re.sub(rb', "checksum": "[0-9a-f]*"', b"", path.read_bytes())
    path.write_bytes(plain.replace(b'"item": 5', b'"item": 7'))
    with pytest.raises(InputError, match="item 7 for one of the class '5', but it is of '7': the file is damaged"):
        data.create("reviewed", of="digits", review=str(path))


@pytest.mark.parametrize(
    "line",
    [
        '{"item": 4, "label": "4", "verdict": "burn"}',
        '{"item": "4", "label": "4", "verdict": "drop"}',
        '{"item": 4, "label": "4", "verdict": "relabel"}',
        '{"review": 2, "of": "x"}',
        '{"item": 4, "label": "4", "verdict": "keep", "verdict": "drop"}',
        "[" * 100_000,
        "[1]",
        "gibberish",
        "7",
    ],
)
def test_that_a_line_that_says_nothing_is_named(path: Path, line: str) -> None:
    path.write_bytes(path.read_bytes() + line.encode() + b"\n")
    with pytest.raises(InputError, match=r"line 5: '.*' is no decision of a review"):
        read(path)


def test_that_items_and_classes_that_the_set_does_not_have_are_named(path: Path) -> None:
    begin = path.read_bytes()
    path.write_bytes(begin + json.dumps({"item": 9999, "label": "4", "verdict": "drop"}).encode() + b"\n")
    with pytest.raises(InputError, match="decides on item 9999, which 'digits' does not have"):
        data.create("reviewed", of="digits", review=str(path))
    told = {"item": 4, "label": "4", "verdict": "relabel", "to": "eleven"}
    path.write_bytes(begin + json.dumps(told).encode() + b"\n")
    with pytest.raises(InputError, match="into the class 'eleven'"):
        data.create("reviewed", of="digits", review=str(path))
    with pytest.raises(InputError, match="Cannot read"):
        data.create("reviewed", of="digits", review=str(path.parent / "none.jsonl"))


def test_that_a_second_program_is_refused(path: Path) -> None:
    program = (
        "from pathlib import Path; from hnm_core import data; from hnm_core.data.review import reviewing, subject\n"
        f"with reviewing(Path({str(path)!r}), subject(data.create('digits'))): pass"
    )
    with reviewing(path, subject(data.create("digits"))):
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert "is being reviewed by another program" in ended.stderr


def test_that_what_another_program_decides_before_the_file_is_ours_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes at the last moment: when this one asks for the lock."""
    digits, meanwhile = subject(data.create("digits")), Decision(20, "0", "drop")

    def late(handle: int, *, shared: bool = False) -> None:
        monkeypatch.undo()
        with reviewing(path, digits) as other:
            other.decide(meanwhile)
        try_lock(handle, shared=shared)

    monkeypatch.setattr(decision_file, "try_lock", late)
    with reviewing(path, digits) as ongoing:
        assert ongoing.review.decisions == (KEEP, DROP, RELABEL, meanwhile)
        assert ongoing.undo() == meanwhile
        ongoing.decide(Decision(21, "1", "drop"))
    assert read(path).decisions == (KEEP, DROP, RELABEL, Decision(21, "1", "drop"))


def test_that_of_two_programs_that_begin_a_review_at_once_none_writes_into_what_the_other_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digits = tmp_path / "new.jsonl", subject(data.create("digits"))
    other_data = Subject("others", 3, "3-0badcafe")

    def late(handle: int, *, shared: bool = False) -> None:
        monkeypatch.undo()
        with reviewing(path, digits) as other:
            other.decide(Decision(20, "0", "drop"))
        try_lock(handle, shared=shared)

    monkeypatch.setattr(decision_file, "try_lock", late)
    with pytest.raises(InputError, match="is a review of other data"), reviewing(path, other_data):
        pass
    assert read(path).decisions == (Decision(20, "0", "drop"),) and path.read_bytes().count(b"\n") == 2


def test_that_a_decision_that_cannot_be_written_does_not_count(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reviewing(path, subject(data.create("digits"))) as ongoing:

        def full(_handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            ongoing.decide(Decision(20, "0", "drop"))
        monkeypatch.undo()
        ongoing.decide(Decision(21, "1", "drop"))
    assert read(path).decisions == (KEEP, DROP, RELABEL, Decision(21, "1", "drop"))


def test_that_many_decisions_are_read_in_no_time(path: Path) -> None:
    more = b"".join(b'{"item": %d, "label": "4", "verdict": "keep"}\n' % item for item in range(100_000))
    path.write_bytes(path.read_bytes() + more)
    assert len(read(path).by_item()) == 100_000


def test_that_decisions_given_as_data_are_refused_as_what_they_are(path: Path) -> None:
    said = "holds the decisions of a review, not data"
    for refused in (
        lambda: data_config(str(path)),
        lambda: retrieval.read(str(path)),
        lambda: kind_of(path),
    ):
        with pytest.raises(InputError, match=said):
            refused()
    pairs = path.parent / "pairs.jsonl"
    pairs.write_text('{"query": "a review", "positive": "of a film"}\n')
    assert not is_review(pairs)
    assert len(retrieval.read(str(pairs)).queries.ids) == 1

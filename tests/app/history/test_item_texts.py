"""Items that are texts: found, named and listed by what the user's files call them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from app.history.finding import matches
from app.history.inspection import facts, inspect
from app.history.inspection_words import sections
from app.history.tracks import Mentions
from app.picture.scene import build_scene
from app.picture.theme import DARK
from hnm_core.run.events import Frame, RunStarted, frozen
from hnm_core.run.item_texts import in_sight, item_text
from hnm_core.run.shown import query_label, text_of
from hnm_core.training.retrieval_config import RetrievalConfig, told_as
from tests.app import runs


@pytest.fixture
def started() -> RunStarted:
    """Documents 0 .. 3, queries 4 .. 6; document 3 is not shown, and is told of."""
    ids = np.array([0, 1, 2, 4, 5, 6])
    texts = {
        0: item_text("d1", "def read(path):\n    return path"),
        1: item_text("d10", "<b>bold</b>"),
        2: item_text("x", "nothing"),
        3: item_text("d1-hidden", "read me"),
        4: item_text("q1", "Read a file"),
        5: item_text("q2", "d1 in the text"),
        6: item_text("q3", "find"),
    }
    return replace(
        runs.started(runs.config(steps=2)),
        config=told_as(RetrievalConfig(), "little"),
        labels=(ids >= 4).astype(np.int64),
        ids=ids,
        held_out=ids == 6,
        class_names=("document", "query"),
        groups=None,
        true_labels=None,
        texts=texts,
    )


@pytest.fixture
def frame() -> Frame:
    positions = frozen(np.arange(18, dtype=np.float32).reshape(6, 3))
    return Frame("in-batch", 1, positions, frozen(np.array([[4, 0, 1]], np.int32)), 1)


def test_that_characters_without_a_picture_are_seen_and_all_is_one_line() -> None:
    assert in_sight("a\tb\n\x00\x7f\x85\u202e\ud800é") == "a⇥b↵␀␡\\u0085\\u202e\\ud800é"


def test_that_an_item_is_what_its_file_calls_it(started: RunStarted, frame: Frame) -> None:
    known = facts(started, [frame], 0)
    assert known is not None
    assert (known.name, known.text, known.class_name) == ("d1", "def read(path):↵    return path", "document")
    old = facts(replace(started, texts={}), [frame], 0)
    assert old is not None and (old.name, old.text) == ("", "")


def test_that_items_are_listed_by_id_and_text(started: RunStarted, frame: Frame) -> None:
    none = Mentions(np.empty((0, 3), np.int32), np.empty(0, np.float32), 0)
    lanes = [inspect(started, frame, none, 4)]
    (negative,) = next(
        s for s in sections(lanes, partial(text_of, started)) if s.title == "Negatives mined now"
    ).columns[0]
    assert (negative.text, negative.item_id, negative.is_text) == ("d10 · <b>bold</b>", 1, True)
    assert negative.tip.startswith("document d10\n<b>bold</b>\n1, class document")
    (plain,) = sections(lanes)[0].columns[0]
    assert plain.text == "1 · document" and not plain.is_text


def test_that_items_are_found_by_id_before_text_and_only_where_they_are_drawn(
    started: RunStarted, frame: Frame
) -> None:
    assert [match.item_id for match in matches(started, [frame], "D1")] == [0, 1, 5]
    assert [match.item_id for match in matches(started, [frame], "read")] == [0, 4]
    assert matches(started, [frame], "read")[0].text == "document d1 · def read(path):↵    return path"
    assert [match.item_id for match in matches(started, [frame], "query")[:1]] == [-1]
    assert matches(replace(started, texts={}), [frame], "read") == []


def test_that_an_id_of_digits_is_the_users_before_it_is_a_row(started: RunStarted, frame: Frame) -> None:
    numbered = replace(started, texts={2: item_text("4", "nothing"), 4: item_text("77", "a file of 4 lines")})
    assert [match.item_id for match in matches(numbered, [frame], "4")] == [2, 4]
    assert [match.item_id for match in matches(numbered, [frame], "77")] == [4]


def test_that_queries_alone_are_diamonds_and_runs_over_classes_have_none(started: RunStarted, frame: Frame) -> None:
    scene = build_scene(started, frame, DARK)
    assert (scene.strata == scene.diamond_class).tolist() == [False] * 3 + [True] * 3
    plain = replace(started, config=runs.config(steps=2))
    assert query_label(plain) == -1 == build_scene(plain, frame, DARK).diamond_class

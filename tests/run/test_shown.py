"""Which items a frame draws, and where each of them stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hnm_core.run.shown import drawn_items, item_of, places_of, shown_text
from tests.recording import made_up

IDS = np.array([3, 7, 8, 20, 41, 100], np.int64)


def test_that_places_are_found_for_sparse_ids_and_minus_one_for_absent_ones() -> None:
    wanted = np.array([[100, 3, -1], [9, 41, 1000]])
    assert places_of(IDS, wanted).tolist() == [[5, 0, -1], [-1, 4, -1]]
    assert places_of(np.empty(0, np.int64), wanted).tolist() == [[-1] * 3] * 2


def test_that_a_frame_without_guests_draws_the_arrays_of_its_run() -> None:
    start, frame = made_up.started(), made_up.frame(np.random.default_rng(0), "knn", 2)
    drawn = drawn_items(start, frame)
    assert drawn.ids is start.ids and drawn.labels is start.labels and drawn.positions is frame.positions
    assert drawn.sample == len(start.ids)


def test_that_guests_come_after_the_shown_items_with_all_that_is_known_of_them() -> None:
    rng = np.random.default_rng(1)
    start = made_up.started()
    frame = made_up.with_guests(rng, made_up.frame(rng, "knn", 2), 9)
    assert frame.guests is not None
    drawn = drawn_items(start, frame)
    place = {int(item): place for place, item in enumerate([*start.ids.tolist(), *frame.guests.ids.tolist()])}
    wanted = rng.integers(-1, 320, (50, 3))
    assert drawn.places_of(wanted).tolist() == [[place.get(item, -1) for item in row] for row in wanted.tolist()]
    at = place[int(frame.guests.ids[4])]
    assert at == 64 and (drawn.labels[at], drawn.positions[at, 1]) == (
        frame.guests.labels[4],
        frame.guests.positions[4, 1],
    )
    assert drawn.groups is not None and drawn.groups[at] == frame.guests.labels[4] // 3
    assert drawn.true_labels is not None and drawn.true_labels[at] == (frame.guests.labels[4] + 1) % 5
    assert drawn.columns["hardness"][at] == frame.guests.columns["hardness"][4]
    assert {len(array) for array in (drawn.ids, drawn.held_out, drawn.positions, *drawn.columns.values())} == {69}
    assert not drawn.held_out[60:].any()


def test_that_an_item_is_known_where_it_is_shown_or_a_guest() -> None:
    rng = np.random.default_rng(1)
    start, plain = made_up.started(), made_up.frame(rng, "knn", 2)
    frame = made_up.with_guests(rng, plain)
    assert frame.guests is not None
    guest = int(frame.guests.ids[2])
    assert item_of(start, [plain, frame], guest) == (guest % 5, False)
    assert item_of(start, [plain], guest) is None
    assert item_of(start, [], 12) == (4, True)
    assert item_of(start, [frame], 2) is None


def test_that_it_is_said_how_many_items_are_shown_only_where_not_all_are() -> None:
    start = made_up.started()
    assert shown_text(start) == "60 of 600 items shown"
    assert shown_text(replace(start, items_total=60)) == ""

"""Lines to what negatives were chosen from, against plain loops over the pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture import raster
from app.picture.camera import fit
from app.picture.candidates import Looked, looked_at
from app.picture.edges import NEGATIVE
from app.picture.scene import build_scene
from app.picture.selection import Selection
from app.picture.slow_motion import LOSS, NOT_TOLD, SEARCH, SELECT, slow_motion
from app.picture.theme import DARK, LIGHT, contrast
from hnm_core.run.candidates import MAX_OF_AN_ANCHOR, Candidates
from tests.app.picture.test_edges import frame, started
from tests.app.picture.test_slow_motion import middle_of, scenes


def told(scope: str = "nearest", asked: int = 12) -> Candidates:
    """Of anchors with ids 10, 40 and 6: three, two and no candidates; 1,000 is none of the 400 points of `started`."""
    pairs = np.array([(10, 4), (10, 22), (10, 8), (40, 2), (40, 1000), (6, -1)], np.int32)
    return Candidates(pairs, np.array([0, 1, 0, 1, 0, 0], np.bool_), asked, 3, scope)


def looked(candidates: Candidates, theme=DARK, **options) -> Looked:
    plain = build_scene(started(), frame(), theme, show_edges=(), **options)
    return looked_at(candidates, plain, theme)


def test_that_lines_lead_from_anchors_to_what_is_drawn_of_their_candidates_and_other_points_step_back():
    plain = build_scene(started(), frame(), DARK, show_edges=())
    seen = looked(told())
    assert seen.places.tolist() == [[5, 2], [5, 11], [5, 4], [20, 1]] and seen.chosen.tolist() == [0, 1, 0, 1]
    assert sorted(seen.anchors.tolist()) == [3, 5, 20]
    part = np.isin(np.arange(400), (*seen.places.ravel(), *seen.anchors))
    np.testing.assert_array_equal(seen.colors[part], plain.colors[part])
    assert (seen.colors[~part] != plain.colors[~part]).any(1).all()
    by_column = looked(told(), color_by="loss_share")
    values = build_scene(started(), frame(), DARK, show_edges=(), color_by="loss_share").colors
    np.testing.assert_array_equal(by_column.colors, values)


def test_that_what_the_user_left_out_has_no_line():
    selection = Selection(hidden=np.array([22]))
    plain = build_scene(started(), frame(), DARK, show_edges=(), selection=selection)
    assert looked_at(told(), plain, DARK).places.tolist() == [[5, 2], [5, 4], [20, 1]]
    pair = looked_at(told(), plain, DARK, pair=(0, 4))  # classes go round in fives
    assert pair.places.tolist() == [[5, 4]]


@pytest.mark.parametrize(
    ("candidates", "found", "anchors"),
    [
        (told(), "up to 3 nearest of another class", "for 3 of 12 anchors"),
        (told("approximate", asked=3), "up to 3 near ones of another class", "for 3 anchors"),
        (told("batch"), "up to 3 of another class in the batch", "for 3 of 12 anchors"),
    ],
)
def test_that_the_numbers_in_words_are_true(candidates: Candidates, found: str, anchors: str):
    assert looked(candidates).texts == (f"searched: {found}", anchors, "up to 1 chosen each", "4 of 5 lines drawn")
    even = replace(candidates, pairs=candidates.pairs[:3], chosen=np.zeros(3, np.bool_), asked=1, scope="nearest")
    assert looked(even).texts == ("searched: 3 nearest of another class", "for 1 anchor", "none chosen", "")
    many = np.stack((np.full(MAX_OF_AN_ANCHOR, 2), np.arange(MAX_OF_AN_ANCHOR) % 300 * 2 + 4), 1).astype(np.int32)
    cut = replace(even, pairs=many, chosen=np.ones(len(many), np.bool_), most=900)
    assert looked(cut).found_text == f"{MAX_OF_AN_ANCHOR} of 900 candidates"
    assert looked(cut).chosen_text == f"{MAX_OF_AN_ANCHOR} chosen each"


def test_that_lines_stand_in_the_search_fade_in_the_choice_but_for_the_chosen_and_are_gone_with_the_loss():
    before, goal = scenes()
    seen = looked(told())
    way, silent = slow_motion(before, goal, DARK, seen), slow_motion(before, goal, DARK, None)
    searching, choosing = way.at(middle_of(SEARCH)), way.at(middle_of(SELECT))
    assert searching.edges.tolist() == seen.places.tolist() and set(searching.edge_kinds.tolist()) == {NEGATIVE}
    assert searching.edge_colors[:, :3].tolist() == [list(DARK.candidate_edge)] * 4
    assert len(set(searching.edge_colors[:, 3].tolist())) == 1, "what will be chosen is not told before"
    assert sorted(searching.halos.tolist()) == [3, 5, 20] and searching.mined[seen.places].all()
    lines = choosing.edges[:4].tolist(), choosing.edge_colors[:4, 3]
    assert lines[0] == seen.places.tolist() and len(choosing.edges) > 4
    assert (lines[1][seen.chosen] == 255).all() and (lines[1][~seen.chosen] < searching.edge_colors[0, 3] / 2).all()
    assert (way.at(middle_of(LOSS)).edges == silent.at(middle_of(LOSS)).edges).all()
    assert way.words_at(middle_of(SEARCH)) == f"Search: {seen.found_text} {seen.anchors_text}"
    assert way.words_at(middle_of(SELECT)) == f"Select: of these, {seen.chosen_text}"
    assert silent.words_at(middle_of(SEARCH)) == NOT_TOLD and silent.words_at(middle_of(SELECT)) == SELECT.words
    assert not len(silent.at(middle_of(SEARCH)).edges)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_that_the_picture_shows_the_lines_and_they_are_a_grey_that_can_be_seen(theme, raster_kernels: None):
    red, green, blue = theme.candidate_edge
    assert max(red, green, blue) - min(red, green, blue) < 20, "told by lightness alone, whoever looks"
    assert min(contrast(theme.candidate_edge, ground) for ground in (theme.cloud_top, theme.cloud_bottom)) > 7
    before, goal = scenes()
    camera = fit(before.positions, 1.0)
    ways = (slow_motion(before, goal, theme, looked(told(), theme)), slow_motion(before, goal, theme, None))
    pictures = [
        raster.render(way.at(middle_of(act)), camera, 200, 200, theme).pixels.copy()
        for way in ways
        for act in (SEARCH, SELECT, LOSS)
    ]
    searching, choosing, loss, *silent = pictures
    assert (searching != choosing).any(2).sum() > 100 and (choosing != loss).any(2).sum() > 100
    assert (searching != silent[0]).any(2).sum() > 100


def test_that_candidates_of_items_with_several_labels_are_said_to_share_none():
    plain = build_scene(started(), frame(), DARK, show_edges=())
    assert looked_at(told(), plain, DARK, several=True).found_text.endswith("that share no label")
    assert looked_at(told(), plain, DARK).found_text.endswith("of another class")

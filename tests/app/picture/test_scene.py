from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.edges import sampled_triplets
from app.picture.ranking import stratified_rank
from app.picture.scene import Scene, build_scene, class_colors, column_colors, interpolate
from app.picture.theme import DARK, LIGHT
from app.picture.thinning import DetailLevel, context_rank, same_sample, thinned
from hnm_core.run.events import Frame, Guests, RunStarted
from hnm_core.spec.config import ExperimentConfig

NEGATIVE, POSITIVE, SELECTED_EDGE_ALPHA = "negative", "positive", 255

IDS = np.array([3, 7, 8, 20, 41, 100], np.int64)
LABELS = np.array([0, 0, 1, 1, 2, 2], np.int64)


def started(ids=IDS, labels=LABELS, groups=None, held_out=None) -> RunStarted:
    if held_out is None:
        held_out = np.zeros(len(ids), np.bool_)
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    return RunStarted(ExperimentConfig(), labels, ids, held_out, names, groups)


def frame(triplets, count=6, mined_total=None, **columns) -> Frame:
    positions = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    positions.flags.writeable = False
    triplets = np.array(triplets, np.int32).reshape(-1, 3)
    total = len(triplets) if mined_total is None else mined_total
    return Frame("knn", 5, positions, triplets, total, columns)


def edges_by_kind(scene: Scene, theme=DARK) -> dict[str, set[tuple[int, int]]]:
    kinds = {theme.negative_edge: NEGATIVE, theme.positive_edge: POSITIVE}
    found: dict[str, set[tuple[int, int]]] = {NEGATIVE: set(), POSITIVE: set()}
    for (start, end), color in zip(scene.edges.tolist(), scene.edge_colors.tolist(), strict=True):
        found[kinds[tuple(color[:3])]].add((start, end))
    return found


def test_that_triplets_become_edges_between_rows_not_ids():
    scene = build_scene(started(), frame([(100, 41, 7), (8, 20, 3)]), DARK)
    assert edges_by_kind(scene) == {POSITIVE: {(5, 4), (2, 3)}, NEGATIVE: {(5, 1), (2, 0)}}
    assert scene.edges.dtype == np.int32 and scene.ids is not None
    assert (scene.edges_shown, scene.edges_total, scene.edge_text) == (4, 4, "4 edges")


def test_that_rows_agree_with_a_dictionary_on_many_random_ids():
    generator = np.random.default_rng(1)
    ids = np.sort(generator.choice(100_000, 500, replace=False)).astype(np.int64)
    labels = generator.integers(0, 7, 500)
    triplets = generator.choice(ids, (60, 3)).astype(np.int32)
    triplets[::7, 1], triplets[3::7, 2] = -1, -1
    row = {int(point_id): place for place, point_id in enumerate(ids)}
    scene = build_scene(started(ids, labels), frame(triplets, 500), LIGHT)
    expected_positive = {(row[a], row[p]) for a, p, _ in triplets.tolist() if p >= 0}
    expected_negative = {(row[a], row[n]) for a, _, n in triplets.tolist() if n >= 0}
    assert edges_by_kind(scene, LIGHT) == {POSITIVE: expected_positive, NEGATIVE: expected_negative}


def test_that_absent_ends_and_points_that_are_not_shown_make_no_edge():
    scene = build_scene(started(), frame([(3, -1, 8), (7, 3, -1), (-1, 3, 8), (3, 5, 9)]), DARK)
    assert edges_by_kind(scene) == {POSITIVE: {(1, 0)}, NEGATIVE: {(0, 2)}}


@pytest.mark.parametrize(("kinds", "count"), [((), 0), ((NEGATIVE,), 2), ((POSITIVE,), 2), ((POSITIVE, NEGATIVE), 4)])
def test_that_only_the_chosen_kinds_of_edges_are_drawn(kinds: tuple[str, ...], count: int):
    scene = build_scene(started(), frame([(100, 41, 7), (8, 20, 3)]), DARK, show_edges=kinds)
    assert scene.edges_shown == scene.edges_total == count
    assert scene.edge_text == (f"{count} edges" if count else "")


def test_that_at_most_max_edges_are_drawn_and_the_text_says_of_how_many():
    generator = np.random.default_rng(2)
    ids = np.arange(0, 3000, 3)
    labels = np.repeat([0, 1, 2, 3], [700, 200, 80, 20])
    triplets = generator.choice(ids, (2000, 3)).astype(np.int32)
    scene = build_scene(started(ids, labels), frame(triplets, 1000, mined_total=6240), DARK, max_edges=1000)
    kinds = edges_by_kind(scene)
    assert scene.edge_text == "1,000 of 12,480 edges"
    assert len(scene.edges) == 1000 and len(kinds[NEGATIVE]) == len(kinds[POSITIVE]) == 500


def test_that_every_class_and_every_kind_of_tuple_keeps_its_share_of_the_edges():
    labels = np.repeat([0, 1, 2, 3], [700, 200, 80, 20])
    rows = np.arange(1000)
    triplets = np.stack((rows, (rows + 1) % 1000, (rows + 2) % 1000), 1)
    triplets[::2, 1], triplets[1::4, 2] = -1, -1  # a half negative only, a quarter positive only, a quarter both
    ends = (triplets[:, 1:] >= 0).sum(1)
    chosen = sampled_triplets(triplets, labels, ends, 250)
    assert ends[chosen].sum() == pytest.approx(250, abs=2) and ends[chosen].sum() <= 250
    for label, count in enumerate([700, 200, 80, 20]):
        assert (labels[chosen] == label).sum() == pytest.approx(count / 5, abs=2)
    assert (triplets[chosen, 1] < 0).sum() == pytest.approx(100, abs=4)
    assert (triplets[chosen, 2] < 0).sum() == pytest.approx(50, abs=4)


def test_that_an_anchor_keeps_its_line_when_other_anchors_change():
    labels = np.zeros(400, np.int64)
    rows = np.arange(400)
    triplets = np.stack((rows, (rows + 1) % 400, (rows + 2) % 400), 1)
    ends = np.full(400, 2)
    fewer = sampled_triplets(triplets, labels, ends, 200)
    assert set(fewer.tolist()) < set(sampled_triplets(triplets, labels, ends, 400).tolist())
    assert np.array_equal(fewer, sampled_triplets(triplets, labels, ends, 200))


def test_that_the_selected_point_keeps_all_its_edges_and_stands_out():
    ids = np.arange(200)
    labels = ids % 5
    triplets = np.stack((ids, (ids + 5) % 200, (ids + 1) % 200), 1)
    for selected in (0, 17, 113, 199):
        scene = build_scene(started(ids, labels), frame(triplets, 200), DARK, max_edges=20, selected_id=selected)
        touching = (scene.edges == selected).any(1)
        as_triplet_end = (triplets == selected).any(1).sum()
        assert as_triplet_end == 3 and touching.sum() >= 4  # two as anchor, one as positive, one as negative
        assert (scene.edge_colors[touching, 3] == SELECTED_EDGE_ALPHA).all()
        assert (scene.edge_colors[~touching, 3] < SELECTED_EDGE_ALPHA).all()
        assert scene.radii[selected] == scene.radii.max() > 1


def test_that_points_take_the_colour_of_their_group_where_there_are_groups():
    groups = np.array([1, 1, 1, 0, 0, 0])
    run = started(groups=groups)
    assert np.array_equal(build_scene(run, frame([]), DARK).colors, np.array(DARK.classes, np.uint8)[groups])
    assert np.array_equal(
        build_scene(run, frame([]), DARK, color_by="label").colors, np.array(DARK.classes, np.uint8)[LABELS]
    )
    assert np.array_equal(build_scene(started(), frame([]), DARK).colors, np.array(DARK.classes, np.uint8)[LABELS])


def test_that_classes_beyond_the_palette_differ_in_lightness():
    colors = class_colors(np.arange(36), DARK)
    assert len(np.unique(colors, axis=0)) == 36
    lightness = colors.astype(float).sum(1).reshape(3, 12)
    assert (lightness[1] > lightness[0]).all() and (lightness[2] < lightness[0]).all()


def test_that_held_out_points_are_smaller_and_nearer_to_the_ground():
    held_out = np.array([True, False, False, False, False, False])
    scene = build_scene(started(held_out=held_out), frame([]), DARK)
    ground = (np.array(DARK.cloud_top) + np.array(DARK.cloud_bottom)) / 2
    away = np.abs(scene.colors.astype(float) - ground).sum(1)
    assert scene.radii[0] < scene.radii[1] and away[0] < away[1]


def test_that_a_column_colours_by_value_and_mutes_what_is_not_finite():
    values = np.array([0, 1, 2, 3, 4, np.nan], np.float32)
    scene = build_scene(started(), frame([], times_mined=values), DARK, color_by="times_mined")
    brightness = scene.colors[:5].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(brightness) > 0).all()
    assert scene.colors[5].tolist() == list(DARK.muted)
    assert scene.color_note == "times mined 0.08 to 3.92"


@pytest.mark.parametrize("values", [[np.nan] * 4, [2.0] * 4, [np.inf, -np.inf, 1, 1]])
def test_that_columns_without_a_range_have_colours_too(values: list[float]):
    colors, note = column_colors(np.array(values, np.float32), DARK)
    assert colors.shape == (4, 3) and note


def test_that_a_frame_without_the_column_says_so():
    scene = build_scene(started(), frame([]), DARK, color_by="loss_share")
    assert scene.color_note == "no loss share in this frame"
    assert np.array_equal(scene.colors, build_scene(started(), frame([]), DARK).colors)


def test_that_thinning_keeps_mined_points_and_the_share_of_every_class():
    labels = np.repeat([0, 1, 2], [600, 300, 8])
    ids = np.arange(908) * 5
    scene = build_scene(started(ids, labels), frame([(0, 5, 3000)], 908), DARK, show_edges=())
    rank = stratified_rank(ids, labels)
    kept = thinned(scene, rank, 0.25).radii > 0
    assert kept[[0, 1, 600]].all()
    for label, count in enumerate([600, 300, 8]):
        assert kept[labels == label].sum() == pytest.approx(count / 4, abs=2)
    more = thinned(scene, rank, 0.5).radii > 0
    assert (more | ~kept).all() and more.sum() > kept.sum()
    assert thinned(scene, rank, 1.0) is scene


def test_that_ranks_are_a_permutation_within_every_stratum():
    strata = np.array([5, 5, 5, 5, 9, 9])
    rank = stratified_rank(np.array([10, 11, 12, 13, 14, 15]), strata)
    assert sorted(rank[:4]) == [0.125, 0.375, 0.625, 0.875] and sorted(rank[4:]) == [0.25, 0.75]


def test_that_detail_halves_after_ten_slow_paints_in_a_row_and_not_before():
    level = DetailLevel()
    for ms in [30.0] * 9 + [10.0] + [30.0] * 9:
        level = level.after(ms)
    assert level.share == 1.0
    assert level.after(30.0).share == 0.5


def test_that_detail_comes_back_slowly_and_does_not_swing():
    level = DetailLevel(share=0.25)
    for _ in range(59):
        level = level.after(5.0)
    assert level.share == 0.25
    assert level.after(5.0).share == 0.5
    level = DetailLevel(share=0.5)
    for _ in range(1000):
        level = level.after(13.0)  # twice the points would take up to 26 ms
    assert level.share == 0.5


def test_that_interpolation_meets_both_frames_and_lies_between():
    a, b = frame([]), frame([])
    b = Frame("knn", 6, a.positions + np.float32(2), b.triplets, 0)
    assert np.array_equal(interpolate(a, b, 0.0), a.positions)
    assert np.array_equal(interpolate(a, b, 1.0), b.positions)
    np.testing.assert_allclose(interpolate(a, b, 0.25), a.positions + 0.5, rtol=1e-6)
    assert interpolate(a, b, 0.25).dtype == np.float32


def test_that_a_frame_without_triplets_has_no_edges_and_no_text():
    scene = build_scene(started(), frame([]), DARK)
    assert scene.edges.shape == (0, 2) and scene.edge_colors.shape == (0, 4) and scene.edge_text == ""
    assert not scene.mined.any()


def test_that_a_run_without_points_makes_an_empty_scene():
    nothing = np.empty(0, np.int64)
    run = RunStarted(ExperimentConfig(), nothing, nothing, np.empty(0, np.bool_), ())
    scene = build_scene(run, frame([(1, 2, 3)], 0), DARK, selected_id=4)
    assert scene.colors.shape == (0, 3) and scene.edges.shape == (0, 2) and scene.place_of(4) == -1


def test_that_edges_to_false_negatives_lie_on_top_are_counted_and_their_ends_have_a_ring():
    truth = np.array([0, 0, 0, 1, 2, 2], np.int64)  # id 8 is labelled 1 but is a 0
    known = replace(started(), true_labels=truth)
    scene = build_scene(known, frame([(3, 7, 8), (3, 7, 20), (8, 20, 7)]), DARK)
    false = (scene.edge_colors[:, :3] == DARK.false_edge).all(1)
    assert {tuple(edge) for edge in scene.edges[false].tolist()} == {(0, 2), (2, 1)}
    assert false.tolist() == sorted(false.tolist())
    assert scene.edges_false == 2 and scene.halos.tolist() == [1, 2]
    assert scene.halo_colors.tolist() == [[*DARK.false_edge, 255]] * 2
    assert scene.edge_text == "6 edges, 2 false (ringed)"
    nobody_knows = build_scene(started(), frame([(3, 7, 8)]), DARK)
    assert nobody_knows.edges_false == 0 and not len(nobody_knows.halos)


def with_guests(triplets, ids=(5, 50), labels=(1, 2), **extra) -> Frame:
    """Guests that lie at ten times their id."""
    ids, labels = np.array(ids, np.int64), np.array(labels, np.int64)
    positions = np.repeat(ids[:, None] * 10, 3, 1).astype(np.float32)
    return replace(frame(triplets), guests=Guests(ids, labels, positions, **extra))


def test_that_guests_are_drawn_in_their_colours_and_edges_lead_to_them():
    run = replace(started(), items_total=5000)
    scene = build_scene(run, with_guests([(3, 50, 5), (50, 8, 7)]), DARK)
    assert edges_by_kind(scene) == {POSITIVE: {(0, 7), (7, 2)}, NEGATIVE: {(0, 6), (7, 1)}}
    assert (scene.sample, scene.guests, scene.edge_text) == (6, 2, "4 edges")
    assert scene.items_text == "6 of 5,000 items shown"
    assert scene.positions[6:].tolist() == [[50] * 3, [500] * 3] and scene.mined[6:].all()
    assert scene.colors[6:].tolist() == np.array(DARK.classes)[[1, 2]].tolist()
    assert [scene.place_of(item) for item in (3, 100, 5, 50, 6)] == [0, 5, 6, 7, -1]
    assert len({len(array) for array in (scene.positions, scene.colors, scene.radii, scene.strata, scene.mined)}) == 1


def test_that_a_guest_can_be_selected():
    scene = build_scene(started(), with_guests([(3, 7, 5), (8, 20, 41)]), DARK, selected_id=5)
    assert scene.radii[6] == scene.radii.max() > 1
    assert scene.edge_colors[(scene.edges == 6).any(1), 3].tolist() == [SELECTED_EDGE_ALPHA]


def test_that_an_edge_to_a_guest_that_is_a_false_negative_is_told():
    known = replace(started(), true_labels=LABELS)
    scene = build_scene(known, with_guests([(3, 7, 5)], true_labels=np.array([0, 2])), DARK)
    assert scene.edges_false == 1 and scene.edges[-1].tolist() == [0, 6]
    assert tuple(scene.edge_colors[-1, :3]) == DARK.false_edge and scene.halos.tolist() == [6]


def test_that_negatives_are_told_by_their_kind_and_not_by_their_colour():
    same = replace(DARK, positive_edge=DARK.negative_edge)
    scene = build_scene(replace(started(), true_labels=LABELS), frame([(3, 7, 8)]), same)
    assert scene.edges_false == 0


def test_that_guests_are_never_thinned_and_do_not_change_which_points_are():
    run, plain = started(), frame([])
    scene, alone = build_scene(run, with_guests([(5, 50, -1)]), DARK), build_scene(run, plain, DARK)
    rank = context_rank(scene)
    assert np.array_equal(rank, context_rank(alone)) and same_sample(scene, alone)
    few = thinned(scene, rank, 0.3).radii > 0
    assert few[6:].all() and np.array_equal(few[:6], thinned(alone, rank, 0.3).radii > 0)
    assert not same_sample(scene, build_scene(started(ids=IDS + 1), plain, DARK))


def test_that_edges_whose_ends_nobody_knows_are_counted_and_not_drawn():
    scene = build_scene(started(), frame([(3, 7, 5), (8, 20, 6), (5, 6, 9)], mined_total=30), DARK)
    assert scene.edge_text == "2 of 60 edges"


def test_that_buckets_have_a_colour_each_as_classes_have() -> None:
    from app.picture.scene import category_colors

    values = np.array([0, 1, np.nan, 37, 1], np.float32)
    colors, note = category_colors(values, DARK)
    assert note == "3 different"
    np.testing.assert_array_equal(colors[[0, 1, 3, 4]], class_colors(np.array([0, 1, 37, 1]), DARK))
    assert colors[2].tolist() == list(DARK.muted)

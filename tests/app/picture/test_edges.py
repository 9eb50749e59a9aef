"""Which mined pairs are drawn and how, against plain loops over the triplets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.edges import EDGE_KINDS, LOOKS, kind_colors
from app.picture.scene import STEPPED_BACK_FADE, build_scene
from app.picture.selection import Selection
from app.picture.theme import DARK, LIGHT, contrast
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.hardness import Hardness, histogram
from hnm_core.spec.config import ExperimentConfig

POINTS = 400


def started(noisy: bool = False) -> RunStarted:
    labels = np.arange(POINTS) % 5
    truth = np.where(np.arange(POINTS) % 9 == 0, (labels + 1) % 5, labels) if noisy else None
    names = tuple("abcde")
    held_out = np.zeros(POINTS, np.bool_)
    return RunStarted(ExperimentConfig(), labels, np.arange(POINTS) * 2, held_out, names, true_labels=truth)


def frame(count: int = 600, margin: float = 0.5, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    triplets = (rng.integers(0, POINTS, (count, 3)) * 2).astype(np.int32)
    separation = rng.normal(0.6, 0.6, count).astype(np.float32)
    hard, inside = int((separation <= 0).sum()), int((separation <= margin).sum())
    hardness = Hardness(margin, 10 * hard, 10 * (inside - hard), 10 * (count - inside), *histogram(separation))
    return Frame(
        "knn",
        5,
        rng.normal(size=(POINTS, 3)).astype(np.float32),
        triplets,
        10 * count,
        {"loss_share": np.ones(POINTS, np.float32)},
        separation=separation,
        age=rng.integers(0, 8, count).astype(np.int32),
        hardness=hardness,
    )


def kinds(scene, theme=DARK) -> list[str]:
    by_color = dict(zip(kind_colors(theme), EDGE_KINDS, strict=True))
    by_color[theme.semi_hard_edge] = "semi_hard"  # negatives of unknown hardness have the same colour
    return [by_color[tuple(color[:3])] for color in scene.edge_colors.tolist()]


def expected_kind(told: Frame, place: int, run: RunStarted) -> str:
    anchor, _, negative = told.triplets[place] // 2
    if run.true_labels is not None and run.true_labels[anchor] == run.true_labels[negative]:
        return "false"
    separation = told.separation[place]
    return "hard" if separation <= 0 else "semi_hard" if separation <= told.hardness.margin else "easy"


@pytest.mark.parametrize("noisy", [False, True])
def test_that_every_negative_is_drawn_by_how_hard_it_was(noisy: bool):
    run, told = started(noisy), frame()
    scene = build_scene(run, told, DARK, max_edges=10_000)
    expected = [
        edge
        for place, (anchor, positive, negative) in enumerate((told.triplets // 2).tolist())
        for edge in ((anchor, negative, expected_kind(told, place, run)), (anchor, positive, "positive"))
    ]
    drawn = [(*edge, kind) for edge, kind in zip(scene.edges.tolist(), kinds(scene), strict=True)]
    assert sorted(drawn) == sorted(expected)
    order = [EDGE_KINDS.index(kind) for kind in kinds(scene)]
    assert order == sorted(order), "the hardest lie on top"


def test_that_the_hardest_are_drawn_first_where_not_all_can_be():
    told = frame()
    hard, semi_hard = (int(count / 10) for count in (told.hardness.hard, told.hardness.semi_hard))
    for most in (50, 2 * hard, 2 * hard + 100, 2 * (hard + semi_hard), 1100):
        drawn = kinds(build_scene(started(), told, DARK, max_edges=most))
        assert len(drawn) == most
        assert drawn.count("hard") == min(hard, most // 2)
        assert drawn.count("semi_hard") == min(semi_hard, most // 2 - drawn.count("hard"))
        assert drawn.count("positive") == most // 2


def test_that_the_text_counts_all_that_was_mined_by_kind():
    told = frame()
    scene = build_scene(started(), told, DARK, max_edges=100)
    hard, semi_hard = told.hardness.hard, told.hardness.semi_hard
    assert scene.edge_text == f"{hard:,} hard, {semi_hard:,} semi-hard of 6,000 · 100 edges"
    assert build_scene(started(), told, DARK, show_edges=()).edge_text == ""
    without = replace(told, hardness=replace(told.hardness, margin=0.0))
    assert build_scene(started(), without, DARK, max_edges=100).edge_text == f"{hard:,} hard of 6,000 · 100 edges"


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_that_each_kind_can_be_drawn_alone(kind: str):
    run, told = started(noisy=True), frame()
    drawn = kinds(build_scene(run, told, DARK, show_edges=(kind,), max_edges=10_000))
    whole = kinds(build_scene(run, told, DARK, max_edges=10_000))
    assert drawn == [kind] * whole.count(kind)


def test_that_older_edges_are_fainter_and_those_of_the_last_step_as_strong_as_their_kind():
    told = replace(frame(), positions=np.zeros((POINTS, 3), np.float32))
    scene = build_scene(started(), told, DARK, show_edges=("hard",), max_edges=10_000)
    alphas = {}
    for place, triplet in enumerate((told.triplets // 2).tolist()):
        for edge, color in zip(scene.edges.tolist(), scene.edge_colors.tolist(), strict=True):
            if edge == [triplet[0], triplet[2]] and told.separation[place] <= 0:
                alphas.setdefault(int(told.age[place]), set()).add(color[3])
    by_age = [min(alphas[age]) for age in sorted(alphas)]
    assert by_age == sorted(by_age, reverse=True)
    assert max(alphas[0]) == round(255 * LOOKS[EDGE_KINDS.index("hard")].alpha) and by_age[-1] < 0.5 * by_age[0]


def test_that_long_edges_fade_by_their_length_and_rings_do_not():
    told = replace(frame(), age=None)
    scene = build_scene(started(), told, DARK, show_edges=("hard",), max_edges=10_000)
    length = np.linalg.norm(told.positions[scene.edges[:, 0]] - told.positions[scene.edges[:, 1]], axis=1)
    alpha = scene.edge_colors[np.argsort(length), 3].astype(int)
    assert (np.diff(alpha) <= 0).all() and alpha[0] == 255 and 60 < alpha[-1] < 0.6 * 255
    fading = (alpha < 255) & (alpha > 80)
    ink = alpha[fading] * np.sort(length)[fading]
    assert fading.sum() > 10 and np.ptp(ink) < 0.02 * ink.mean(), "as much ink, however long"
    assert len(set(scene.halo_colors[:, 3].tolist())) == 1


def test_that_points_without_a_part_in_what_tells_something_step_back():
    told = frame(count=20)
    plain = build_scene(started(), told, DARK, show_edges=()).colors.astype(float)
    scene = build_scene(started(), told, DARK, max_edges=10_000)
    told_kinds = zip(scene.edges.tolist(), kinds(scene), strict=True)
    ends = {end for edge, kind in told_kinds if kind in ("hard", "semi_hard") for end in edge}
    same = (scene.colors == plain).all(1)
    assert set(np.flatnonzero(same).tolist()) == ends and 0 < len(ends) < POINTS
    ground = (np.array(DARK.cloud_top) + np.array(DARK.cloud_bottom)) / 2
    expected = plain + (ground - plain) * STEPPED_BACK_FADE
    assert np.abs(scene.colors[~same] - expected[~same]).max() <= 1
    by_column = build_scene(started(), told, DARK, color_by="loss_share").colors
    assert len(np.unique(by_column, axis=0)) == 1, "colours of a column are read as they are"


def test_that_an_easy_lane_has_no_rings_and_its_points_stay_as_they_are():
    told = frame()
    easy = replace(told, separation=np.full(len(told.separation), 9, np.float32))
    scene = build_scene(started(), easy, DARK)
    bare = build_scene(started(), easy, DARK, show_edges=())
    assert set(kinds(scene)) == {"easy", "positive"} and not len(scene.halos)
    assert (scene.colors == bare.colors).all()


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_the_bands_lead_away_from_the_ground_in_lightness(theme):
    ramp = [contrast(rgb, theme.cloud_top) for rgb in (theme.easy_edge, theme.semi_hard_edge, theme.hard_edge)]
    assert ramp[0] * 1.5 < ramp[1] and ramp[1] * 1.5 < ramp[2]
    weights = [look.alpha * look.px for look in LOOKS]
    assert weights[0] < weights[3] < weights[4]


@pytest.mark.parametrize("pair", [(1, 3), (3, 1), (0, 4)])
def test_that_of_a_pair_of_classes_only_its_negatives_are_drawn_and_counted(pair):
    run, told = started(), frame()
    scene = build_scene(run, told, DARK, max_edges=20, selection=Selection(pair=pair))
    labels = run.labels[told.triplets // 2]
    own = (labels[:, 0] == pair[0]) & (labels[:, 2] == pair[1])
    assert own.sum() > 20 == len(scene.edges), "not all can be drawn"
    assert (run.labels[scene.edges] == pair).all() and "positive" not in kinds(scene)
    assert scene.edges_total == 10 * own.sum(), "the frame tells of one tuple in ten"
    assert scene.edge_text == f"20 of {10 * own.sum():,} edges {'abcde'[pair[0]]} → {'abcde'[pair[1]]}"
    alone = build_scene(run, told, DARK, show_edges=("hard",), selection=Selection(pair=pair))
    assert set(kinds(alone)) == {"hard"} and len(alone.edges) == (own & (told.separation <= 0)).sum()

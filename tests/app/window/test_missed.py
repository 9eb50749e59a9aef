"""The panel of missed negatives in a real window: chosen by mouse and keys, seen in the cloud, followed in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QDockWidget, QTabBar

from app.picture.missed_edges import MissedPair, end_colors
from app.views.misses_view import ROW
from hnm_core import kernels
from hnm_core.run import kept_misses
from hnm_core.run.events import RunState
from tests.app import engine

LANES = (
    {"name": "lsh", "miner": "lsh", "miner_options": {"bits": 16, "rescore": 3}},
    {"name": "buckets", "miner": "lsh-buckets", "miner_options": {"tables": 2, "bits": 5, "probes": 0}},
    {"name": "knn", "miner": "knn"},
    {"name": "random", "miner": "random"},
)

PATIENCE_MS = 120_000
"""For what a machine that has little else to do shows within seconds."""


@pytest.fixture(scope="module", autouse=True)
def search_kernels(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


def config(**values: object):
    data = {"name": "near-classes", "options": {"groups": 6, "classes_per_group": 3, "points_per_class": 30}}
    return engine.config(lanes=LANES, data=data, eval_every=2, frame_every=1, **values)


def steps(window, qtbot, done: int) -> None:
    for step in range(window.stage.history.last_step + 1, done + 1):
        window.actions_by_key["step"].trigger()
        qtbot.waitUntil(
            lambda step=step: [lane.rows() for lane in window.stage.history.lanes.values()] == [step] * len(LANES),
            timeout=PATIENCE_MS,
        )
    qtbot.waitUntil(lambda: window.bridge.state is RunState.PAUSED, timeout=PATIENCE_MS)


@pytest.fixture
def window(open_window, qtbot):
    window = open_window(config=config(), source=engine.source)
    bars = window.findChildren(QTabBar)
    bar, place = next((bar, at) for bar in bars for at in range(bar.count()) if bar.tabText(at) == "Missed")
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(place).center())
    return window


def click_row(window, qtbot, row: int) -> MissedPair:
    tree = window.stage.misses.tree
    item = tree.topLevelItem(row)
    tree.scrollToItem(item)
    at = tree.visualItemRect(item)
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, at.center().y()))
    missed = item.data(0, ROW)
    return MissedPair(missed.anchor, missed.nearest, missed.found)


def click_lane(window, qtbot, place: int) -> None:
    tabs = window.stage.misses.tabs
    qtbot.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(place).center())
    assert tabs.currentIndex() == place


@pytest.mark.thorough
def test_that_the_panel_says_when_the_first_measure_comes_and_which_lanes_miss_nothing(window, qtbot) -> None:
    view = window.stage.misses
    assert view.isVisible() and "train a lane" in view.note.text() and not view.tabs.isVisible()
    steps(window, qtbot, 1)
    qtbot.waitUntil(lambda: view.tabs.count() == 4, timeout=PATIENCE_MS)
    assert view.note.isVisible() and "measured at step 2" in view.note.text()
    for place, words in ((2, "knn searches exactly"), (3, "random draws at random")):
        click_lane(window, qtbot, place)
        assert view.note.isVisible() and words in view.note.text() and not view.tree.isVisible()
    steps(window, qtbot, 2)
    click_lane(window, qtbot, 0)
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() > 3, timeout=PATIENCE_MS)
    assert view.tree.isVisible() and not view.note.isVisible()
    told = window.stage.history.lane("lsh").misses_at()
    assert view.tabs.tabText(0) == f"lsh  {told.total}" and view.tabs.tabText(2) == "knn  exact"
    assert view.how.isVisible() and "among the 3 nearest · approximate, by a scan of 16-bit codes" in view.how.text()
    click_lane(window, qtbot, 2)
    # Told with its next step.
    qtbot.waitUntil(lambda: "misses nothing.\nexact, by " in view.note.text(), timeout=PATIENCE_MS)
    assert view.how.text().startswith("still nearest ")
    click_lane(window, qtbot, 0)
    rows = [view.tree.topLevelItem(row).data(0, ROW) for row in range(view.tree.topLevelItemCount())]
    assert [row.anchor for row in rows] == told.anchors.tolist()
    assert all(row.why.startswith("differs in ") and " of 16 bits; rank " in row.why for row in rows)


def test_that_a_click_selects_the_anchor_everywhere_and_flies_its_lane_to_both_edges(window, qtbot) -> None:
    steps(window, qtbot, 2)
    panes, view = window.stage.panes, window.stage.misses
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() > 3, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: panes.arrived, timeout=PATIENCE_MS)
    qtbot.wait(800)  # the figures have come by then, and cameras make room for them
    pair = click_row(window, qtbot, 1)
    assert all(pane._selected_id == pair.anchor for pane in panes.views)
    cloud, other = panes.view("lsh"), panes.view("knn")
    before, camera = other.camera, cloud.camera

    def has_edges() -> bool:
        scene = cloud.scene
        wanted = [[scene.place_of(pair.anchor), scene.place_of(end)] for end in (pair.nearest, pair.found)]
        return scene.edges[-2:].tolist() == wanted

    qtbot.waitUntil(has_edges, timeout=PATIENCE_MS)
    colors = cloud.scene.edge_colors[-2:, :3].tolist()
    assert colors == [list(color) for color in end_colors(window.look.theme)] and colors[0] != colors[1]
    assert [mark.text for mark in cloud._marks] == ["true nearest", "returned"] and not other._marks

    def flown() -> bool:
        nonlocal camera
        camera, last = cloud.camera, camera
        return camera == last and panes.arrived

    qtbot.wait(300)
    qtbot.waitUntil(flown, timeout=PATIENCE_MS)
    places = [cloud.scene.place_of(item) for item in (pair.anchor, pair.nearest, pair.found)]
    x, y, _ = camera.project(cloud.scene.positions[places], cloud.width(), cloud.height())
    top, bottom = cloud.covered
    assert (x > 0).all() and (x < cloud.width()).all()
    assert (y > top).all() and (y < cloud.height() - bottom).all(), (y, cloud.height(), top, bottom)
    assert abs(before.distance / other.camera.distance - 1) < 0.2, "the other panes stay"
    assert camera.distance < 0.9 * other.camera.distance, "it looks from near by"
    window.actions_by_key["fit"].trigger()
    qtbot.waitUntil(lambda: abs(cloud.camera.distance / other.camera.distance - 1) < 0.1, timeout=PATIENCE_MS)


def test_that_esc_lets_a_miss_go_for_good_and_looking_at_its_ends_does_not(window, qtbot) -> None:
    steps(window, qtbot, 2)
    panes, view, choice = window.stage.panes, window.stage.misses, window.stage.choice
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() > 3, timeout=PATIENCE_MS)
    pair = click_row(window, qtbot, 0)
    choice.pick(pair.nearest)
    assert panes._pane("lsh").pair == pair, "the true nearest was clicked in the cloud"
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert choice.item_id == -1 and panes._pane("lsh").pair is None and view.tree.currentItem() is None
    qtbot.waitUntil(lambda: not panes.view("lsh")._marks, timeout=PATIENCE_MS)
    steps(window, qtbot, 4)
    qtbot.waitUntil(lambda: view._lanes[0].step == 4, timeout=PATIENCE_MS)
    assert choice.item_id == -1 and panes._pane("lsh").pair is None
    pair = click_row(window, qtbot, 0)
    choice.pick(next(item for item in window.stage._started.ids.tolist() if item not in pair.items))
    assert panes._pane("lsh").pair is None, "another point is looked at"


@pytest.mark.thorough
def test_that_a_press_chooses_a_row_and_steps_without_a_measure_leave_the_rows_alone(window, qtbot) -> None:
    steps(window, qtbot, 2)
    view = window.stage.misses
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() > 3, timeout=PATIENCE_MS)
    item = view.tree.topLevelItem(1)
    steps(window, qtbot, 3)
    window.stage._show_misses()
    assert view.tree.topLevelItem(1) is item
    at = view.tree.visualItemRect(item).center()
    qtbot.mousePress(view.tree.viewport(), Qt.MouseButton.LeftButton, pos=at)
    chosen = item.data(0, ROW).anchor
    steps(window, qtbot, 4)  # a new measure, before the button is let go
    qtbot.waitUntil(lambda: view._lanes[0].step == 4, timeout=PATIENCE_MS)
    assert window.stage.choice.item_id == chosen
    qtbot.mouseRelease(view.tree.viewport(), Qt.MouseButton.LeftButton, pos=at)


@pytest.mark.thorough
def test_that_arrow_keys_and_enter_choose_and_a_lane_is_reached_by_keys(window, qtbot) -> None:
    steps(window, qtbot, 2)
    view, panes = window.stage.misses, window.stage.panes
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() > 3, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: view._lanes[1].total > 3, timeout=PATIENCE_MS)
    view.tabs.setFocus()
    qtbot.keyClick(view.tabs, Qt.Key.Key_Right)
    assert view.tabs.currentIndex() == 1
    assert "bucket" in view.tree.topLevelItem(0).data(0, ROW).why
    view.tree.setFocus()
    qtbot.keyClick(view.tree, Qt.Key.Key_Down)
    qtbot.keyClick(view.tree, Qt.Key.Key_Down)
    chosen = view.tree.currentItem().data(0, ROW)
    assert all(pane.pair is None for pane in panes._panes)
    qtbot.keyClick(view.tree, Qt.Key.Key_Return)
    wanted = MissedPair(chosen.anchor, chosen.nearest, chosen.found)
    assert [pane.pair for pane in panes._panes] == [None, wanted, None, None]
    assert chosen.why in view.detail.text()


@pytest.mark.thorough
def test_that_the_panel_follows_the_timeline_and_what_is_no_longer_missed_is_let_go(window, qtbot) -> None:
    steps(window, qtbot, 8)
    stage, view = window.stage, window.stage.misses
    history = stage.history.lane("lsh")
    qtbot.waitUntil(lambda: view._lanes[0].step == 8, timeout=PATIENCE_MS)
    then, now = (set(history.misses_at(step).anchors.tolist()) for step in (4, 8))
    gone = next(anchor for anchor in now if anchor not in then)
    row = next(r for r in range(len(now)) if view.tree.topLevelItem(r).data(0, ROW).anchor == gone)
    click_row(window, qtbot, row)
    assert stage.panes._pane("lsh").pair.anchor == gone
    stage._seek(5)
    qtbot.waitUntil(lambda: view._lanes[0].step == 4, timeout=PATIENCE_MS)
    assert {view.tree.topLevelItem(r).data(0, ROW).anchor for r in range(len(then))} == then
    assert stage.panes._pane("lsh").pair is None
    stage._seek(1)
    qtbot.waitUntil(lambda: view._lanes[0].note != "", timeout=PATIENCE_MS)
    assert "measured at step 2" in view.note.text()
    stage.go_live()
    qtbot.waitUntil(lambda: view._lanes[0].step == 8, timeout=PATIENCE_MS)


def test_that_misses_too_old_to_be_held_are_read_from_the_recording_of_the_run(window, qtbot, monkeypatch) -> None:
    monkeypatch.setattr(kept_misses, "HELD", 1)
    steps(window, qtbot, 2)
    stage, view = window.stage, window.stage.misses
    qtbot.waitUntil(lambda: bool(view._lanes) and view._lanes[0].step == 2, timeout=PATIENCE_MS)
    then = view._lanes[0].rows
    steps(window, qtbot, 6)
    assert then and list(stage.history.lane("lsh").misses._held) == [6]
    stage._seek(3)
    qtbot.waitUntil(lambda: view._lanes[0].step == 2, timeout=PATIENCE_MS)
    assert repr(view._lanes[0].rows) == repr(then)


def test_that_a_recording_shows_its_misses(window, qtbot, tmp_path: Path) -> None:
    steps(window, qtbot, 4)
    before = window.stage.history.lane("lsh").misses_at().anchors.tolist()
    folder = window.stage.folder
    window.session.reset()
    qtbot.waitUntil(lambda: window.bridge.state is RunState.IDLE, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not window.stage.misses.tabs.count(), timeout=PATIENCE_MS)
    window.files.take(folder)
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=PATIENCE_MS)
    window.stage.timeline.set_playing(False)
    window.stage._seek(4)
    view = window.stage.misses
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() == len(before), timeout=PATIENCE_MS)
    assert [view.tree.topLevelItem(row).data(0, ROW).anchor for row in range(len(before))] == before


def test_that_the_panel_can_be_closed_and_is_reached_from_the_view_menu(window) -> None:
    dock = next(dock for dock in window.findChildren(QDockWidget) if dock.windowTitle() == "Missed")
    assert dock.isVisible() and dock.widget() is window.stage.misses
    dock.toggleViewAction().trigger()
    assert not dock.isVisible()


def test_that_edges_of_a_pair_lie_on_top_of_paler_ones() -> None:
    from app.picture.missed_edges import not_drawn, with_pair
    from app.picture.scene import build_scene
    from app.picture.theme import LIGHT
    from tests.app import runs

    of = runs.config("one")
    scene = build_scene(runs.started(of), runs.frame("one", 3), LIGHT)
    shown = with_pair(scene, LIGHT, MissedPair(100, 110, 120))
    assert shown.edges[: len(scene.edges)].tolist() == scene.edges.tolist()
    assert shown.edges[-2:].tolist() == [[0, 10], [0, 20]]
    assert (shown.edge_colors[: len(scene.edges), 3] < scene.edge_colors[:, 3]).all()
    assert shown.mined[[0, 10, 20]].all() and shown.halos[-2:].tolist() == [10, 20]
    nothing = with_pair(scene, LIGHT, MissedPair(100, 110, -1))
    assert nothing.edges[-1].tolist() == [0, 10] and len(nothing.edges) == len(scene.edges) + 1
    assert with_pair(scene, LIGHT, MissedPair(7, 110, 120)) is scene, "an anchor that is not shown"
    assert not_drawn(scene, MissedPair(100, 110, -1)) == ""
    assert not_drawn(scene, MissedPair(7, 110, 8)) == "not among these points: anchor 7, returned 8"
    np.testing.assert_array_equal(scene.positions, shown.positions)


@pytest.mark.thorough
def test_that_clouds_can_be_coloured_by_bucket_and_the_panel_tells_how_full_buckets_are(window, qtbot) -> None:
    steps(window, qtbot, 2)
    view, panes = window.stage.misses, window.stage.panes
    qtbot.waitUntil(lambda: bool(view._lanes) and view._lanes[0].buckets is not None, timeout=PATIENCE_MS)
    window.controls.colour.setFocus()
    for _ in range(window.controls.colour.count() - 1):
        qtbot.keyClick(window.controls.colour, Qt.Key.Key_Down)
    assert window.controls.colour.currentText() == "bucket"
    for lane in ("lsh", "buckets"):
        kinds = len(np.unique(frame_of(window, lane).columns["bucket"][~window.stage._started.held_out]))
        qtbot.waitUntil(
            lambda lane=lane, kinds=kinds: panes.view(lane).scene.color_note == f"bucket {kinds} different",
            timeout=PATIENCE_MS,
        )
    assert panes.view("knn").scene.color_note == "no bucket in this frame"
    assert "different" in panes.view("lsh").caption and not panes.keys.scale.isVisible(), "kinds have no scale"
    told = window.stage.history.lane("lsh").misses_at().buckets
    assert view.filling.isVisible() and f"{told.used} buckets, up to {told.largest} rows" in view.filling.text
    assert "buckets by how many rows they hold" in view.filling.toolTip()
    click_lane(window, qtbot, 2)
    assert not view.filling.isVisible()


def test_that_a_key_draws_the_planes_of_a_hash_and_takes_them_away(window, qtbot) -> None:
    steps(window, qtbot, 2)
    panes = window.stage.panes
    qtbot.waitUntil(lambda: panes._pane("lsh").planes is not None, timeout=PATIENCE_MS)
    assert not panes.view("lsh")._outlines
    qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ShiftModifier)
    assert window.actions_by_key["planes"].isChecked()
    hashing = [panes.view(lane) for lane in ("lsh", "buckets")]  # one after the other tells its first planes
    qtbot.waitUntil(
        lambda: all(view._outlines and "hash planes" in view.caption for view in hashing), timeout=PATIENCE_MS
    )
    assert 1 <= len(panes.view("lsh")._outlines) <= 8 and 1 <= len(panes.view("buckets")._outlines) <= 5
    assert not panes.view("knn")._outlines
    assert panes.view("knn").caption.replace("\n", " · ").endswith(" · no hash")
    qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: not panes.view("lsh")._outlines, timeout=PATIENCE_MS)


def frame_of(window, lane: str):
    return next(frame for frame in window.stage.panes.frames if frame.lane == lane)

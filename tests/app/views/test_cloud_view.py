from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication

from app.picture import raster
from app.picture.camera import Camera, fit
from app.picture.scene import Scene
from app.picture.theme import DARK, LIGHT
from app.views import cloud_picture
from app.views.cloud_view import NOT_FINITE, NOTHING_YET, OUT_OF_VIEW, PREPARING, CloudView
from hnm_core import kernels

FRONT = Camera(azimuth=0.0, elevation=0.0, distance=10.0)
LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
SHIFT = Qt.KeyboardModifier.ShiftModifier

pytestmark = pytest.mark.usefixtures("raster_kernels")


def scene(count: int = 40, positions=None, ids=None) -> Scene:
    if positions is None:
        positions = np.random.default_rng(0).normal(size=(count, 3))
    positions = np.array(positions, np.float32)
    count = len(positions)
    return Scene(
        positions,
        np.full((count, 3), 180, np.uint8),
        np.ones(count, np.float32),
        np.empty((0, 2), np.int32),
        np.empty((0, 4), np.uint8),
        np.empty((0, 2), np.float32),
        np.empty(0, np.int8),
        np.empty(0, np.int32),
        np.empty((0, 4), np.uint8),
        np.arange(count) if ids is None else np.array(ids),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
    )


@pytest.fixture
def view(qtbot) -> CloudView:
    shown = CloudView()
    qtbot.addWidget(shown)
    shown.resize(300, 200)
    shown.show()
    qtbot.waitExposed(shown)
    return shown


@pytest.fixture
def two_points(view: CloudView) -> CloudView:
    """Point 70 in the middle, point 90 well to the right, both seen from the front."""
    view.set_camera(FRONT)
    view.set_scene(scene(positions=[(0, 0, 0), (0, 1.5, 0)], ids=[70, 90]))
    view.render_now()
    return view


def place_of(view: CloudView, row: int) -> QPoint:
    assert view.scene is not None
    x, y, _ = view.camera.project(view.scene.positions[row : row + 1], view.width(), view.height())
    return QPoint(int(x[0]), int(y[0]))


def drag(qtbot, view: CloudView, button, by: QPoint, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    start = QPoint(150, 180)
    qtbot.mousePress(view, button, modifier, start)
    move(view, start + by / 2, button, modifier)
    move(view, start + by, button, modifier)
    qtbot.mouseRelease(view, button, modifier, start + by)


def move(view: CloudView, to: QPoint, button=Qt.MouseButton.NoButton, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    """A mouse move with a button held, which QTest.mouseMove cannot do."""
    from PyQt6.QtGui import QMouseEvent

    here = QPointF(to)
    event = QMouseEvent(
        QMouseEvent.Type.MouseMove, here, view.mapToGlobal(here), Qt.MouseButton.NoButton, button, modifier
    )
    QApplication.sendEvent(view, event)


def emitted(signal) -> list:
    values: list = []
    signal.connect(values.append)
    return values


def pixels(view: CloudView) -> np.ndarray:
    """(H, W, 3) of the widget as painted, labels included."""
    image = view.grab().toImage().convertToFormat(image_format())
    rows = image.constBits().asarray(image.sizeInBytes())
    return np.frombuffer(rows, np.uint8).reshape(image.height(), image.width(), 4)[:, :, :3].copy()


def image_format():
    from PyQt6.QtGui import QImage

    return QImage.Format.Format_RGB32


def test_that_the_painted_picture_is_the_rendered_one(two_points: CloudView):
    expected = raster.render(two_points.scene, FRONT, 300, 200, DARK)
    painted = pixels(two_points)
    assert np.array_equal(painted[20:180, 2:-2], expected.pixels[20:180, 2:-2, :3])


def test_that_a_view_without_a_scene_says_so(view: CloudView):
    assert view.message == NOTHING_YET
    plain = np.full_like(pixels(view), DARK.cloud_bottom[::-1])
    assert (pixels(view) != plain).any(2).sum() > 100


def test_that_the_first_scene_is_brought_into_view(view: CloudView):
    shown = scene(positions=np.random.default_rng(1).normal(size=(50, 3)) * 30 + 500)
    view.set_scene(shown)
    view.render_now()
    assert view.camera == fit(shown.positions, 1.5)
    assert view.message == "" and view.picture().points_in_view == 50


def test_that_it_sketches_until_kernels_are_compiled_says_so_and_then_draws(qtbot, monkeypatch: pytest.MonkeyPatch):
    compiled = False
    monkeypatch.setattr(kernels, "ready", lambda module: compiled and module == "app.picture.raster")
    view = CloudView()
    qtbot.addWidget(view)
    view.set_scene(scene())
    view.show()
    qtbot.waitExposed(view)
    view.set_caption("3 edges")
    view.render_now()
    sketched = view.picture()
    assert view.message == "" and view.caption == f"{PREPARING}\n3 edges" and (sketched.rows >= 0).any()
    view.set_preparing("Preparing, 3 of 20")
    compiled = True
    view.render_now()
    assert (
        view.caption == "Preparing, 3 of 20\n3 edges" and view.picture() is sketched
    )  # who prepares it says when it is over
    view.set_preparing("")
    qtbot.waitUntil(lambda: view.caption == "3 edges", timeout=3000)
    assert view.picture() is not sketched and (view.picture().rows >= 0).any()


def test_that_it_draws_late_but_not_never_when_kernels_never_get_ready(qtbot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernels, "ready", lambda module: False)
    monkeypatch.setattr(cloud_picture, "LONGEST_WAIT_S", 0.3)
    view = CloudView()
    qtbot.addWidget(view)
    view.set_scene(scene())
    view.show()
    qtbot.waitUntil(lambda: view.picture() is not None and view.caption == "", timeout=3000)


def test_that_a_failure_becomes_a_message_and_the_next_scene_is_drawn(
    view: CloudView, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_args, **_options):
        raise RuntimeError("no such luck")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(raster, "render", broken)
        view.set_scene(scene())
        view.render_now()
        view.render_now()
    caplog.clear()
    assert view.draw_failures == 1
    assert "RuntimeError: no such luck" in view.message
    view.set_scene(scene(count=41))
    view.render_now()
    assert view.message == "" and view.draw_failures == 1


def test_that_an_overlay_covers_the_cloud_and_goes_away(two_points: CloudView):
    bare = pixels(two_points)
    two_points.set_overlay("The run has failed.")
    assert two_points.message == "The run has failed."
    assert (pixels(two_points) != bare).any(2).sum() > 500
    two_points.set_overlay(None)
    assert np.array_equal(pixels(two_points), bare)


def test_that_a_diverged_cloud_and_a_cloud_out_of_view_say_so(view: CloudView):
    view.set_scene(scene(positions=[(np.nan, 0, 0)]))
    view.render_now()
    assert view.message == NOT_FINITE
    view.set_scene(scene(positions=[(0, 0, 0)]))
    view.set_camera(Camera(target=(-1000.0, -1000.0, -1000.0)))
    view.render_now()
    assert view.message == OUT_OF_VIEW


def test_that_title_chip_and_caption_are_painted_in_their_corners(two_points: CloudView):
    bare = pixels(two_points)
    two_points.set_title("knn", (255, 0, 0))
    two_points.set_chip("step 12\nloss 0.3")
    two_points.set_caption("1,000 of 12,480 edges")
    changed = (pixels(two_points) != bare).any(2)
    assert changed[:90, :150].sum() > 500 and changed[165:, :250].sum() > 500
    assert not changed[:, 260:].any()
    assert two_points.accessibleName() == "Cloud of knn"


def test_that_long_titles_are_cut_to_the_width(view: CloudView):
    view.set_title("a very long title " * 30, (255, 0, 0))
    view.set_caption("a very long caption " * 30)
    assert pixels(view).shape == (200, 300, 3)


def test_that_nothing_is_painted_when_nothing_changed(qtbot, two_points: CloudView):
    QApplication.processEvents()
    before = two_points.paint_count
    two_points.set_scene(two_points.scene)
    two_points.set_camera(FRONT)
    two_points.set_title("", DARK.accent)
    two_points.set_chip("")
    two_points.set_caption("")
    two_points.set_overlay(None)
    two_points.set_selected(None)
    two_points.set_theme(DARK)
    qtbot.wait(60)
    assert two_points.paint_count == before
    two_points.set_camera(FRONT.orbited(10, 0))
    qtbot.waitUntil(lambda: two_points.paint_count == before + 1)
    assert two_points.last_paint_ms > 0


def test_that_labels_alone_do_not_render_the_cloud_again(two_points: CloudView, monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(raster, "render", lambda *args, **options: calls.append(args))
    two_points.set_chip("step 13")
    two_points.set_selected(70)
    two_points.render_now()
    assert calls == []


def test_that_a_left_drag_turns_the_cloud_with_the_pointer(qtbot, two_points: CloudView):
    cameras = emitted(two_points.camera_changed)
    drag(qtbot, two_points, LEFT, QPoint(40, 20))
    assert two_points.camera.azimuth == pytest.approx(360 - 16) and two_points.camera.elevation == pytest.approx(8)
    assert two_points.camera.target == FRONT.target and two_points.camera.distance == FRONT.distance
    assert cameras[-1] == two_points.camera


@pytest.mark.parametrize(("button", "modifier"), [(RIGHT, None), (MIDDLE, None), (LEFT, SHIFT)])
def test_that_other_drags_pan_and_the_cloud_follows_the_pointer(qtbot, two_points: CloudView, button, modifier):
    before = place_of(two_points, 0)
    drag(qtbot, two_points, button, QPoint(30, -20), modifier or Qt.KeyboardModifier.NoModifier)
    moved = place_of(two_points, 0) - before
    assert abs(moved.x() - 30) <= 1 and abs(moved.y() + 20) <= 1
    assert two_points.camera.azimuth == FRONT.azimuth


def test_that_the_wheel_zooms(two_points: CloudView):
    cameras = emitted(two_points.camera_changed)
    for angle, nearer in ((120, True), (-240, False)):
        before = two_points.camera.distance
        here = QPointF(150, 100)
        wheel = QWheelEvent(
            here,
            two_points.mapToGlobal(here),
            QPoint(),
            QPoint(0, angle),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(two_points, wheel)
        assert (two_points.camera.distance < before) == nearer
    assert len(cameras) == 2


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        (Qt.Key.Key_Left, lambda a, b: b.azimuth == pytest.approx(a.azimuth + 6)),
        (Qt.Key.Key_Right, lambda a, b: b.azimuth == pytest.approx(a.azimuth - 6 + 360)),
        (Qt.Key.Key_Up, lambda a, b: b.elevation < a.elevation),
        (Qt.Key.Key_Down, lambda a, b: b.elevation > a.elevation),
        (Qt.Key.Key_Plus, lambda a, b: b.distance < a.distance),
        (Qt.Key.Key_Equal, lambda a, b: b.distance < a.distance),
        (Qt.Key.Key_Minus, lambda a, b: b.distance > a.distance),
    ],
)
def test_that_keys_move_the_camera(qtbot, two_points: CloudView, key, changed: Callable[[Camera, Camera], bool]):
    cameras = emitted(two_points.camera_changed)
    qtbot.keyClick(two_points, key)
    assert changed(FRONT, two_points.camera) and cameras == [two_points.camera]


@pytest.mark.parametrize("how", ["key", "double-click"])
def test_that_the_cloud_is_brought_back_into_view(qtbot, two_points: CloudView, how: str):
    two_points.set_camera(Camera(target=(1000.0, 0.0, 0.0), azimuth=77.0))
    two_points.render_now()
    assert two_points.message == OUT_OF_VIEW
    asked, cameras = [], emitted(two_points.camera_changed)
    two_points.fit_requested.connect(lambda: asked.append(True))
    if how == "key":
        qtbot.keyClick(two_points, Qt.Key.Key_0)
    else:
        qtbot.mouseDClick(two_points, LEFT, pos=QPoint(150, 100))
    two_points.render_now()
    assert two_points.message == "" and two_points.camera.azimuth == 77.0
    assert asked == [True] and cameras == [two_points.camera]


def test_that_other_keys_are_left_to_the_window(qtbot, two_points: CloudView):
    cameras = emitted(two_points.camera_changed)
    qtbot.keyClick(two_points, Qt.Key.Key_Space)
    assert cameras == [] and two_points.camera == FRONT


def test_that_setting_the_camera_emits_nothing(two_points: CloudView):
    cameras = emitted(two_points.camera_changed)
    two_points.set_camera(FRONT.zoomed(2))
    assert cameras == []


def test_that_hovering_speaks_in_dataset_ids_and_only_when_it_changes(qtbot, two_points: CloudView):
    hovered = emitted(two_points.point_hovered)
    for place in (place_of(two_points, 0), place_of(two_points, 0) + QPoint(1, 0), place_of(two_points, 1)):
        move(two_points, place)
    move(two_points, QPoint(5, 195))
    assert hovered == [70, 90, -1]


def test_that_leaving_the_view_ends_hovering(two_points: CloudView):
    from PyQt6.QtCore import QEvent

    hovered = emitted(two_points.point_hovered)
    move(two_points, place_of(two_points, 1))
    QApplication.sendEvent(two_points, QEvent(QEvent.Type.Leave))
    assert hovered == [90, -1]


def test_that_clicking_picks_a_point_within_a_few_pixels_and_the_ground_is_minus_one(qtbot, two_points: CloudView):
    clicked = emitted(two_points.point_clicked)
    radius = raster.default_point_px(2, FRONT, 300, 200)
    for away in (0, round(radius) + 4, round(radius) + 12):
        qtbot.mouseClick(two_points, LEFT, pos=place_of(two_points, 1) + QPoint(0, away))
    assert clicked == [90, 90, -1]


def test_that_a_drag_is_no_click(qtbot, two_points: CloudView):
    clicked = emitted(two_points.point_clicked)
    drag(qtbot, two_points, LEFT, QPoint(30, 0))
    drag(qtbot, two_points, RIGHT, QPoint(1, 0))
    assert clicked == []


def test_that_a_double_click_clicks_once(qtbot, two_points: CloudView):
    clicked = emitted(two_points.point_clicked)
    place = place_of(two_points, 0)
    qtbot.mouseClick(two_points, LEFT, pos=place)
    qtbot.mouseDClick(two_points, LEFT, pos=place)
    assert clicked == [70]


def test_that_the_nearer_point_is_picked(view: CloudView):
    view.set_camera(FRONT)
    view.set_scene(scene(positions=[(-1, 0, 0), (1, 0, 0)], ids=[1000, 2000]))
    view.render_now()
    assert view.pick(150, 100) == 2000


def test_that_selected_and_hovered_points_get_a_ring_without_a_new_rendering(two_points: CloudView):
    bare = pixels(two_points)
    two_points.set_selected(90)
    changed = (pixels(two_points) != bare).any(2)
    ys, xs = np.nonzero(changed)
    place = place_of(two_points, 1)
    assert abs(xs.mean() - place.x()) < 1.5 and abs(ys.mean() - place.y()) < 1.5
    assert not changed[place.y(), place.x()]
    two_points.set_selected(12345)
    assert np.array_equal(pixels(two_points), bare)
    two_points.set_hovered(70)
    assert (pixels(two_points) != bare).any()


def test_that_the_theme_changes_the_ground(two_points: CloudView):
    two_points.set_theme(LIGHT)
    assert pixels(two_points)[20:, 280:].mean() > 200


def test_that_a_resized_view_is_rendered_at_its_new_size(qtbot, two_points: CloudView):
    two_points.resize(400, 260)
    two_points.render_now()
    assert two_points.picture().rows.shape == (260, 400)


def test_that_slow_painting_thins_context_points_and_says_so(view: CloudView):
    view.set_scene(scene(count=4000))
    view.paint_budget_ms = 0.0
    for step in range(11):
        view.set_camera(FRONT.orbited(step, 0))
        view.render_now()
    assert view.share_drawn == 0.5
    assert "50.0% of the unmined points drawn" in view.caption
    view.render_now()
    assert view.picture().points_in_view < 3000


def test_that_painting_that_waits_for_other_programs_thins_nothing(view: CloudView, monkeypatch):
    def slowed(*arguments, **options):
        time.sleep(0.04)
        return render(*arguments, **options)

    render = raster.render
    monkeypatch.setattr(raster, "render", slowed)
    view.set_scene(scene(count=4000))
    view.paint_budget_ms = 30.0
    for step in range(12):
        view.set_camera(FRONT.orbited(step, 0))
        view.render_now()
    assert view.last_paint_ms > 40
    assert view.share_drawn == 1.0


def test_that_few_points_are_never_thinned_and_many_down_to_a_cloud_that_can_be_seen(view: CloudView):
    view.paint_budget_ms = 0.0
    for count, least in ((400, 1.0), (4000, 1500 / 4000)):
        view.set_scene(scene(count=count))
        for step in range(60):
            view.set_camera(FRONT.orbited(step, 0))
            view.render_now()
        assert view.share_drawn == least


def test_that_thinning_ends_when_painting_is_fast(view: CloudView):
    view.set_scene(scene(count=4000))
    for budget, turns in ((0.0, 11), (1e6, 61)):
        view.paint_budget_ms = budget
        for step in range(turns):
            view.set_camera(FRONT.orbited(step / 10 + budget, 0))
            view.render_now()
        assert view.share_drawn == (0.5 if budget == 0 else 1.0)
    assert view.caption == ""


def test_that_a_thinned_cloud_that_stands_still_is_drawn_in_full_until_it_moves_again(qtbot, view: CloudView):
    view.set_scene(scene(count=4000))
    view.paint_budget_ms = 0.0
    for step in range(11):
        view.set_camera(FRONT.orbited(step, 0))
        view.render_now()
    assert view.share_drawn == 0.5
    qtbot.waitUntil(lambda: view.share_drawn == 1.0, timeout=3000)
    view.render_now()
    assert view.picture().points_in_view > 3500 and view.caption == "all points drawn while nothing moves"
    paints = view.paint_count
    qtbot.wait(600)
    assert view.paint_count == paints, "a still picture is not painted again"
    view.set_camera(FRONT.orbited(50, 0))
    assert view.share_drawn == 0.5
    view.set_scene(None)
    assert view.caption == ""


def test_that_a_fine_screen_gets_a_fine_picture_once_it_stands_still(qtbot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(CloudView, "devicePixelRatioF", lambda self: 2.0)
    view = CloudView()
    qtbot.addWidget(view)
    view.resize(300, 200)
    view.set_scene(scene(positions=[(0, 0, 0), (0, 1.5, 0)], ids=[70, 90]))
    view.set_camera(FRONT)
    view.show()
    qtbot.waitExposed(view)
    view.render_now()
    assert view.picture().rows.shape == (200, 300)
    qtbot.waitUntil(lambda: view.picture().rows.shape == (400, 600), timeout=3000)
    assert view.pick(place_of(view, 1).x(), place_of(view, 1).y()) == 90
    view.set_camera(FRONT.orbited(1, 0))
    view.render_now()
    assert view.picture().rows.shape == (200, 300)
    qtbot.waitUntil(lambda: view.picture().rows.shape == (400, 600), timeout=3000)

"""The sheet that makes videos: what it asks, shows and queues, by keys and clicks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QDesktopServices, QGuiApplication
from PyQt6.QtWidgets import QAbstractSpinBox, QComboBox, QLineEdit, QWidget

from app.panels.export_sheet import ExportSheet
from app.video import order
from app.video.pictures import Pictures
from app.video.stills import still
from app.window.main_window import MainWindow
from hnm_core.errors import InputError
from hnm_core.recording import record
from tests.app.window.test_main_window import press
from tests.video.conftest import STEPS, growing_run

CTRL = Qt.KeyboardModifier.ControlModifier
WAIT_MS = 60_000


@pytest.fixture
def shown(open_window: Callable[..., MainWindow], qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """A window that shows a recording."""
    monkeypatch.chdir(tmp_path)
    list(record(growing_run(), tmp_path / "run"))
    window = open_window()
    window.files.play(tmp_path / "run")
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=WAIT_MS)
    window.stage.timeline.set_playing(False)
    return window


@pytest.fixture
def sheet(shown: MainWindow, qtbot) -> ExportSheet:
    """The sheet of it, for a small video."""
    press(qtbot, shown, Qt.Key.Key_M, CTRL)
    sheet = shown.exporting.sheet
    assert sheet is not None
    choose(qtbot, sheet.size_box, "Own")
    number(qtbot, sheet.width_box, "320")
    number(qtbot, sheet.height_box, "200")
    number(qtbot, sheet.seconds, "1.5")
    number(qtbot, sheet.fps, "12")
    ready(qtbot, sheet)
    return sheet


def ready(qtbot, sheet: ExportSheet) -> None:
    """The preview of what the fields say is there."""
    qtbot.waitUntil(lambda: sheet.render_button.isEnabled() and not sheet.view.picture.image.isNull(), timeout=WAIT_MS)


def choose(qtbot, box: QComboBox, text: str) -> None:
    box.setFocus()
    for _ in range(abs(box.findText(text) - box.currentIndex())):
        qtbot.keyClick(box, Qt.Key.Key_Down if box.findText(text) > box.currentIndex() else Qt.Key.Key_Up)
    assert box.currentText() == text


def number(qtbot, box: QWidget, text: str) -> None:
    """Typed over what is there, and ended with Enter."""
    line = box.findChild(QLineEdit)
    assert line is not None
    line.selectAll()
    qtbot.keyClicks(line, text)
    qtbot.keyClick(box, Qt.Key.Key_Return)


def name(qtbot, sheet: ExportSheet, text: str) -> None:
    sheet.file.selectAll()
    qtbot.keyClicks(sheet.file, text)


def click(qtbot, button: QWidget) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def states(window: MainWindow) -> list[str]:
    return [render.state for render in window.exporting.renders.renders]


def decoded(path: Path) -> tuple[int, int, int, float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        return len(frames), stream.width, stream.height, container.duration / 1_000_000


def test_that_a_video_has_the_size_length_and_rate_that_the_fields_say(sheet, shown, qtbot, tmp_path):
    assert sheet.out == tmp_path / "clouds-part.mp4"
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    assert decoded(tmp_path / "clouds-part.mp4") == (18, 320, 200, pytest.approx(1.5))
    assert shown.exporting.renders.renders[0].told.startswith("1.50 s, 320 x 200, ")
    assert sheet.out == tmp_path / "clouds-part-2.mp4"  # the next one replaces nothing


@pytest.mark.parametrize(
    ("kind", "suffix", "pictures"),
    [
        ("WebM (VP9), small", ".webm", 18),
        pytest.param("GIF, at most 720 pixels", ".gif", 17, marks=pytest.mark.thorough),  # of 9 hundredths each
    ],
)
def test_that_every_kind_of_file_is_made_and_named_so(sheet, shown, qtbot, tmp_path, kind, suffix, pictures):
    choose(qtbot, sheet.format, kind)
    ready(qtbot, sheet)
    assert sheet.out == tmp_path / f"clouds-part{suffix}"
    qtbot.keyClick(sheet, Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    assert decoded(tmp_path / f"clouds-part{suffix}") == (pictures, 320, 200, pytest.approx(1.5, abs=0.02))


@pytest.mark.thorough
def test_that_pictures_go_into_a_folder_of_their_own(sheet, shown, qtbot, tmp_path):
    choose(qtbot, sheet.format, "PNG pictures in a new folder")
    ready(qtbot, sheet)
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    assert len(list((tmp_path / "clouds-part").glob("*.png"))) == 18


def test_that_the_picture_of_the_step_that_is_shown_is_made_finer_than_the_film_and_as_large_as_asked(
    shown, qtbot, tmp_path
):
    shown.stage.timeline.set_step(30)
    shown.stage.timeline.scrubbed.emit(30)
    press(qtbot, shown, Qt.Key.Key_M, CTRL)
    sheet = shown.exporting.sheet
    choose(qtbot, sheet.format, "PNG, the picture of one step")
    choose(qtbot, sheet.size_box, "720p, 1280 x 720")
    ready(qtbot, sheet)
    assert sheet.view.now.text() == "step 30" and sheet.render_button.text() == "Make picture"
    assert not sheet.seconds.isVisible() and not sheet.captions.isVisible()
    qtbot.keyClick(sheet.view.bar, Qt.Key.Key_Right)
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    still(tmp_path / "run", tmp_path / "same.png", at=31, size=(1280, 720))
    made = tmp_path / "clouds-part.png"
    assert made.read_bytes() == (tmp_path / "same.png").read_bytes()
    assert shown.exporting.renders.renders[0].told.startswith("1280 x 720, ")


@pytest.mark.parametrize(("kind", "begins"), [("SVG", b"<?xml"), ("PDF", b"%PDF")])
def test_that_the_charts_are_made_as_a_drawing(sheet, shown, qtbot, tmp_path, kind, begins):
    choose(qtbot, sheet.format, f"{kind}, the charts as a drawing")
    ready(qtbot, sheet)
    assert not sheet.template.isVisible() and not sheet.view.bar.isEnabled()
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    assert (tmp_path / f"clouds-part.{kind.lower()}").read_bytes().startswith(begins)


@pytest.mark.thorough
def test_that_a_film_is_asked_for_again_after_a_picture_as_it_was_before(sheet, qtbot):
    before = sheet.order
    choose(qtbot, sheet.format, "SVG, the charts as a drawing")
    ready(qtbot, sheet)
    choose(qtbot, sheet.format, "MP4 (H.264), plays everywhere")
    ready(qtbot, sheet)
    assert sheet.order == before and sheet.seconds.isVisible() and sheet.captions.isVisible()


def test_that_the_bar_goes_through_the_preview_picture_by_picture(sheet, qtbot):
    picture, bar = sheet.view.picture, sheet.view.bar
    seen = {}
    for key, wanted in (("Home", 0), ("PageUp", 12), ("Right", 13), ("Home", 0), ("End", 17)):
        qtbot.keyClick(bar, getattr(Qt.Key, f"Key_{key}"))
        qtbot.waitUntil(lambda wanted=wanted: picture.number == wanted, timeout=WAIT_MS)
        assert sheet.view.now.text() == f"{wanted / 12:.2f} of 1.50 s"
        assert seen.setdefault(wanted, picture.image) == picture.image
    assert len({image.cacheKey() for image in seen.values()}) == 4 and seen[0] != seen[12] != seen[17]


def test_that_the_preview_is_drawn_on_another_thread_than_the_window(sheet, qtbot, monkeypatch):
    drew: list[threading.Thread] = []
    at = Pictures.at
    monkeypatch.setattr(
        Pictures, "at", lambda self, number: (drew.append(threading.current_thread()), at(self, number))[1]
    )
    qtbot.keyClick(sheet.view.bar, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: bool(drew), timeout=WAIT_MS)
    assert threading.main_thread() not in drew


@pytest.mark.thorough
def test_that_an_edited_caption_is_shown_in_the_preview_and_said_in_the_video(sheet, shown, qtbot):
    before = sheet.view.picture.image
    click(qtbot, sheet.captions.add_button)
    editor = sheet.captions.table.findChild(QLineEdit)
    assert editor is not None and editor.text() == "A sentence of your own."
    qtbot.keyClicks(editor, "Look at this.")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "Look at this." in [one.text for one in sheet.captions.captions], timeout=WAIT_MS)
    ready(qtbot, sheet)
    qtbot.waitUntil(lambda: sheet.view.picture.image != before, timeout=WAIT_MS)
    click(qtbot, sheet.render_button)
    assert "Look at this." in [one.text for one in shown.exporting.renders.renders[0].order.captions]
    click(qtbot, sheet.captions.found_button)
    ready(qtbot, sheet)
    assert "Look at this." not in [one.text for one in sheet.captions.captions] and sheet.order.captions is None
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)


@pytest.mark.thorough
def test_that_the_users_captions_keep_their_place_when_the_length_changes(sheet, qtbot):
    click(qtbot, sheet.captions.add_button)
    ready(qtbot, sheet)
    (own,) = [one for one in sheet.captions.captions if one.text == "A sentence of your own."]
    number(qtbot, sheet.seconds, "3.0")
    ready(qtbot, sheet)
    qtbot.waitUntil(lambda: sheet.captions.captions[-1].start == pytest.approx(2 * own.start), timeout=WAIT_MS)
    ready(qtbot, sheet)
    assert sheet.order.captions == sheet.captions.captions


@pytest.mark.thorough
def test_that_a_range_of_steps_is_taken_from_the_run(sheet, shown, qtbot, tmp_path):
    assert (sheet.first.value(), sheet.last.value()) == (0, STEPS)
    number(qtbot, sheet.first, "50")
    number(qtbot, sheet.last, "20")
    qtbot.waitUntil(lambda: "Steps 50 to 20 cannot be shown" in sheet.problem.text(), timeout=WAIT_MS)
    assert not sheet.render_button.isEnabled()
    number(qtbot, sheet.first, "10")
    ready(qtbot, sheet)
    assert sheet.order.steps == (10, 20) and not sheet.problem.text()


@pytest.mark.parametrize("change", ["the same template again", "there and back", "there and back, once it is drawn"])
def test_that_a_film_that_is_asked_for_again_is_told_again(sheet, qtbot, change):
    qtbot.waitUntil(lambda: "Estimate: about" in sheet.estimate.text(), timeout=WAIT_MS)
    if change == "the same template again":
        number(qtbot, sheet.seconds, f"{sheet._chosen.seconds}")
        number(qtbot, sheet.fps, f"{sheet._chosen.fps}")
        ready(qtbot, sheet)
        qtbot.keyClick(sheet.template, Qt.Key.Key_Space)
        qtbot.keyClick(sheet.template.view(), Qt.Key.Key_Return)
        assert sheet.template.currentText() == "orbit" and not sheet.render_button.isEnabled()
    else:
        qtbot.keyClick(sheet.fps, Qt.Key.Key_Up)
        if change.endswith("drawn"):
            ready(qtbot, sheet)
        qtbot.keyClick(sheet.fps, Qt.Key.Key_Down)
    ready(qtbot, sheet)
    qtbot.waitUntil(lambda: "Estimate: about" in sheet.estimate.text(), timeout=WAIT_MS)
    assert not sheet.view.picture.words


def test_that_an_estimate_is_told_and_called_one(sheet, qtbot):
    qtbot.waitUntil(lambda: "Estimate: about" in sheet.estimate.text(), timeout=WAIT_MS)
    assert sheet.estimate.text().startswith("320 x 200, 18 pictures, 12 a second.")
    assert "kB" in sheet.estimate.text()


@pytest.mark.thorough
def test_that_of_two_videos_either_can_be_called_off_and_nothing_is_left_of_it(sheet, shown, qtbot, tmp_path):
    number(qtbot, sheet.seconds, "600")
    ready(qtbot, sheet)
    name(qtbot, sheet, str(tmp_path / "one.mp4"))
    click(qtbot, sheet.render_button)
    name(qtbot, sheet, str(tmp_path / "two.mp4"))
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: shown.exporting.renders.renders[0].done > 0, timeout=WAIT_MS)
    assert states(shown) == ["at work", "waiting"]
    click(qtbot, sheet.queue.rows[1].cancel)
    qtbot.waitUntil(lambda: states(shown) == ["called off", "at work"], timeout=WAIT_MS)
    click(qtbot, sheet.queue.rows[2].cancel)
    qtbot.waitUntil(lambda: states(shown) == ["called off", "called off"], timeout=WAIT_MS)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == []
    click(qtbot, sheet.queue.clear_button)
    assert not sheet.queue.rows and not sheet.queue.isVisible()


@pytest.mark.thorough
def test_that_calling_off_what_works_in_the_background_begins_no_waiting_video(sheet, shown, qtbot, tmp_path):
    number(qtbot, sheet.seconds, "600")
    ready(qtbot, sheet)
    for _ in range(2):
        click(qtbot, sheet.render_button)
        name(qtbot, sheet, str(tmp_path / "two.mp4"))
    shown.actions_by_key["call_off"].trigger()
    qtbot.waitUntil(lambda: states(shown) == ["called off", "called off"], timeout=WAIT_MS)
    assert not shown.jobs.busy


def test_that_videos_go_on_without_the_sheet_and_end_with_the_window(sheet, shown, qtbot, tmp_path):
    number(qtbot, sheet.seconds, "600")
    ready(qtbot, sheet)
    click(qtbot, sheet.render_button)
    qtbot.keyClick(sheet, Qt.Key.Key_Escape)
    assert shown.exporting.sheet is None
    qtbot.waitUntil(lambda: shown.exporting.renders.renders[0].done > 2, timeout=WAIT_MS)
    with qtbot.waitSignal(shown.closed, timeout=WAIT_MS):
        shown.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_that_what_cannot_be_made_is_said_in_the_sheet(sheet, shown, qtbot, tmp_path):
    name(qtbot, sheet, str(tmp_path / "nowhere" / "out.mp4"))
    click(qtbot, sheet.render_button)
    assert "there is no folder" in sheet.problem.text() and states(shown) == []
    for odd in ("~nobody-of-that-name/out.mp4", str(tmp_path / f"{'x' * 300}.mp4")):
        name(qtbot, sheet, odd)
        click(qtbot, sheet.render_button)
        assert sheet.problem.text().startswith(f"'{odd}' cannot be ") and states(shown) == []
    for odd in ("./", ".mp4", "..", "film"):
        name(qtbot, sheet, odd)
        click(qtbot, sheet.render_button)
        assert (
            sheet.problem.text() == f"'{odd}' is no name for it: give one such as 'film.mp4'." and states(shown) == []
        )
    name(qtbot, sheet, str(tmp_path / "out.gif"))
    click(qtbot, sheet.render_button)
    assert sheet.problem.text() == "'out.gif' must end in .mp4, as the kind of file says."
    choose(qtbot, sheet.template, "own-path")
    qtbot.waitUntil(lambda: "holds no key frames" in sheet.problem.text(), timeout=WAIT_MS)
    assert not sheet.render_button.isEnabled() and sheet.view.picture.image.isNull()
    choose(qtbot, sheet.template, "orbit")
    ready(qtbot, sheet)


def test_that_a_video_that_fails_says_why_and_leaves_no_work_in_the_status_bar(
    sheet, shown, qtbot, tmp_path, monkeypatch
):
    def fail(*_arguments, **_options):
        raise InputError("The disk is full.")

    monkeypatch.setattr(order, "render", fail)
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["failed"], timeout=WAIT_MS)
    assert "The disk is full." in shown.exporting.renders.renders[0].told
    assert shown.job_line.isHidden()
    assert list(tmp_path.glob("*.mp4")) == []


def test_that_videos_whose_names_have_a_percent_sign_are_files_and_a_long_name_is_shortened_in_the_middle(
    sheet, shown, qtbot, tmp_path
):
    names = ["50%.mp4", f"60% of the {'long ' * 12}way-7.mp4"]
    for one in names:
        name(qtbot, sheet, str(tmp_path / one))
        click(qtbot, sheet.render_button)
        assert sheet.problem.text() == ""
    qtbot.waitUntil(lambda: states(shown) == ["done", "done"], timeout=WAIT_MS)
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == names
    rows = [sheet.queue.rows[number].name for number in (1, 2)]
    assert [row.accessibleName() for row in rows] == names and rows[0].text() == names[0]
    assert rows[1].text().endswith("-7.mp4") and rows[1].sizeHint().width() <= rows[1].width()


@pytest.mark.thorough
def test_that_a_second_video_in_the_same_place_is_refused_while_the_first_is_made(sheet, shown, qtbot, tmp_path):
    number(qtbot, sheet.seconds, "600")
    ready(qtbot, sheet)
    name(qtbot, sheet, str(tmp_path / "out.mp4"))
    click(qtbot, sheet.render_button)
    click(qtbot, sheet.render_button)
    assert "is being made already" in sheet.problem.text() and len(states(shown)) == 1
    click(qtbot, sheet.queue.rows[1].cancel)
    qtbot.waitUntil(lambda: states(shown) == ["called off"], timeout=WAIT_MS)
    assert sheet.problem.text() == ""  # the name is free again


def test_that_a_file_that_is_there_is_said_to_be_replaced_before_it_is(sheet, qtbot, tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"old")
    name(qtbot, sheet, str(tmp_path / "old.mp4"))
    assert sheet.problem.text() == "'old.mp4' is there already and will be replaced."
    assert (tmp_path / "old.mp4").read_bytes() == b"old"


@pytest.mark.thorough
def test_that_a_picture_of_the_videos_own_size_is_copied(sheet, qtbot):
    number(qtbot, sheet.width_box, "1600")
    number(qtbot, sheet.height_box, "1000")
    ready(qtbot, sheet)
    assert sheet.view.picture.image.width() < 1600
    clipboard = QGuiApplication.clipboard()
    clipboard.clear()
    click(qtbot, sheet.view.copy_button)
    qtbot.waitUntil(lambda: not clipboard.image().isNull(), timeout=WAIT_MS)
    assert (clipboard.image().width(), clipboard.image().height()) == (1600, 1000)


@pytest.mark.thorough
def test_that_the_folder_of_a_video_is_opened(sheet, shown, qtbot, tmp_path, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    click(qtbot, sheet.queue.rows[1].folder)
    assert opened == [str(tmp_path)]


def test_that_everything_in_the_sheet_has_a_name_and_is_reached_by_tab(sheet, qtbot):
    wanted = {
        widget
        for widget in sheet.findChildren(QWidget)
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not (isinstance(widget, QLineEdit) and isinstance(widget.parent(), QAbstractSpinBox | QComboBox))
    }
    assert [widget for widget in wanted if not (widget.accessibleName() or getattr(widget, "text", lambda: "")())] == []
    sheet.template.setFocus()
    reached = set()
    for _ in range(60):
        focused = sheet.focusWidget()
        reached.add(focused)
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
    assert wanted - reached == set()

"""Words in a film: where lines break, how large names are, what stands in one line with a bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.picture.camera import Camera
from app.picture.theme import DARK
from app.video import charts, template, typeface
from app.video.canvas import Canvas, painting
from app.video.figures import Lane, lane_of
from app.video.formats import video_format
from app.video.framing import Framing, View
from app.video.layout import Box
from app.video.pictures import Pictures, Wishes
from app.video.run_scene import RunScene
from app.video.story import Story
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Event, Frame, RunStarted, StepRecord, WarmupEnded
from hnm_core.spec.config import LaneConfig
from tests.video.conftest import growing_run

pytestmark = pytest.mark.usefixtures("qapp")
PX = 40.0


def lines(text: str, share: float) -> list[str]:
    """The text in a room of a share of its width, with common spaces."""
    room = share * typeface.width(text, PX)
    return [line.replace(typeface.NO_BREAK, " ") for line in typeface.wrapped(text, PX, room)]


def test_that_a_number_stays_with_its_unit() -> None:
    text = "knn: MAP@R 0.88 after 11.7 s of training; random never"
    for share in np.linspace(0.3, 0.95, 40).tolist():
        broken = lines(text, share)
        assert " ".join(broken) == text and not any(line.startswith("s of") for line in broken)
    assert not any(
        line.startswith(("%", "ms")) for share in (0.3, 0.5, 0.7) for line in lines("it is 3 % or 4 ms", share)
    )


def test_that_facts_are_parted_behind_a_dot_and_within_one_only_where_there_is_no_room() -> None:
    facts = "aware 0.14 · lsh 0.14 · bm25 0.13 · in-batch 0.13 · exact 0.12"
    for share in np.linspace(0.3, 0.95, 40).tolist():
        assert not any(line.startswith("·") for line in lines(facts, share))
    assert lines("MAP@R on 1,000 held-out items · mining time: of a step", 0.62) == [
        "MAP@R on 1,000 held-out items ·",
        "mining time: of a step",
    ]
    assert len(lines("one fact of very many words that nobody can tell in one line", 0.4)) > 2


def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Box, float]]:
    """What is written from now on: each text with its box and the size that was asked for."""
    written: list[tuple[str, Box, float]] = []
    plain = Canvas.text

    def text(self: Canvas, box: Box, words: str, color: object, size: float, *args: object, **options: object) -> float:
        written.append((words, box, size))
        return plain(self, box, words, color, size, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Canvas, "text", text)
    return written


def scene(run: Path, size: tuple[int, int], name: str = "orbit") -> RunScene:
    shown = Pictures(run, video_format(run / "o.mp4", size, 12), Wishes(template.load(name)))
    return next(part.scene for part in shown._parts if isinstance(part.scene, RunScene))


@pytest.mark.parametrize(
    ("names", "below"), [(("with the cure", "all mined", "hardest"), True), (("a", "b", "c"), False)]
)
def test_that_in_a_narrow_pane_long_names_keep_their_size_and_values_stand_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], below: bool
) -> None:
    list(record(growing_run(names), tmp_path / "run"))
    one = scene(tmp_path / "run", (540, 540))
    written = told(monkeypatch)
    one.draw(np.zeros((540, 540, 4), np.uint8), 1.0)
    pane = one.layout.clouds[0]
    name = next(box for text, box, _ in written if text == names[0] and box.y < pane.bottom)
    value = next(box for text, box, _ in written if text == "1.00" and box.y < pane.bottom)
    assert (value.y > name.y) == below
    assert typeface.width(names[0], 40 * one._frame.unit, bold=True) <= name.width / (0.8 if below else 1.0)


def five_lanes(folder: Path) -> list[Lane]:
    """As they are drawn at the end of a run."""
    names = ("one", "two", "three", "four", "five")
    list(record(growing_run(names), folder / "run"))
    story = Story(open_recording(folder / "run"))
    return [lane_of(story, name, DARK, timed=False) for name in names]


def test_that_low_rows_have_their_words_beside_the_bar_in_larger_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = five_lanes(tmp_path)
    now = charts.Moment(60, 60, lanes, mining_ms=[2.0] * 5)
    sizes = {}
    for high in (170, 600):
        written = told(monkeypatch)
        with painting(np.zeros((700, 500, 4), np.uint8), DARK, 1.0) as canvas:
            charts.bars(canvas, Box(0, 0, 480, high), now)
        monkeypatch.undo()
        (_, name, size), (_, words, _) = written[0], written[1]
        sizes[high] = size
        assert (name.right < words.x and name.height == words.height) == (high == 170)
        assert typeface.width("three", size, bold=True) < 480
    assert sizes[170] > 1.1 * charts.OVER * 170 / 5 * 0.8


def test_that_a_bar_of_a_race_ends_at_the_finish_line_also_in_a_low_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = five_lanes(tmp_path)
    for high in (170, 600):
        pixels = np.zeros((700, 600, 4), np.uint8)
        written = told(monkeypatch)
        with painting(pixels, DARK, 1.0) as canvas:
            charts.race(canvas, Box(0, 0, 600, high), charts.Moment(60, 60, lanes), 0.5, "MAP@R")
        monkeypatch.undo()
        row = pixels[:high, :, :3].astype(int)
        color = np.array(lanes[0].color[::-1])
        filled = np.flatnonzero((np.abs(row[:, 300:] - color).max(-1) < 8).sum(0) > 2) + 300
        assert 448 <= filled[filled < 452].max() <= 451, "the line is 150 units before the end"
        assert all(box.right <= 450 or box.x >= 470 for _, box, _ in written), "no word stands on the line"


def test_that_a_note_below_a_cloud_has_room_of_its_own() -> None:
    points = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    ends = []
    for foot in (0.0, 0.12):
        framing = Framing([lambda _share: points], lambda _share, foot=foot: View(Camera(), 1.0, 0.0, foot), 4)
        _, y, _ = framing.camera(0, 0.5).project(points, 100, 100)
        ends.append((float(np.quantile(y, 0.01)), float(np.quantile(y, 0.99))))
    (high, low), (high_over, low_over) = ends
    assert low_over - high_over < 0.93 * (low - high), "the cloud is smaller"
    assert (high_over + low_over - high - low) / 2 == pytest.approx(-6, abs=1), "and stands above the note"


def seen_in_part(folder: Path) -> Path:
    """A run of three lanes of which some items of many are shown, in three of more dimensions; two of them mine."""

    def events() -> Iterator[Event]:
        for event in growing_run(("random", "knn", "lsh")):
            if isinstance(event, RunStarted):
                lanes = tuple(LaneConfig(name=lane.name, miner=lane.name) for lane in event.config.lanes)
                event = replace(event, config=event.config.model_copy(update={"lanes": lanes}), items_total=9_511)
            if isinstance(event, Frame):
                event = replace(event, projection="PCA of 64-D, 22%")
            yield event
            if isinstance(event, StepRecord) and event.step == 20:
                yield WarmupEnded(event.lane, 20, event.lane)

    list(record(events(), folder))
    return folder


@pytest.mark.parametrize(("size", "note"), [
    ((540, 540), "PCA of 64-D, 22%"), ((1080, 540), "90 of 9,511 items shown · PCA of 64-D, 22%"),
])  # fmt: skip
def test_that_a_note_leaves_out_how_many_are_shown_rather_than_become_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], note: str
) -> None:
    one = scene(seen_in_part(tmp_path / "run"), size, "untimed" if size[0] == size[1] else "one-lane")
    written = told(monkeypatch)
    one.draw(np.zeros((size[1], size[0], 4), np.uint8), 1.0)
    found = [(text, box) for text, box, _ in written if "PCA" in text]
    assert {text for text, _ in found} == {note}
    assert all(typeface.width(text, 0.75 * 26 * one._frame.unit) <= box.width for text, box in found)
    view = one._view(1.0)
    assert (1 - view.foot) * one.layout.clouds[0].height <= found[0][1].y - one.layout.clouds[0].y + 8


def test_that_a_wipe_names_no_lane_that_is_not_in_its_picture(tmp_path: Path) -> None:
    shown = seen_in_part(tmp_path / "run")
    (start,) = [caption for caption in scene(shown, (320, 180), "wipe").plan.captions if caption.kind == "warm-up"]
    assert start.text == "Step 20: lsh starts to mine; random keeps to chance."

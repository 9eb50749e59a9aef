"""Words in a film: where lines break, how large names are, what stands in one line with a bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.picture.camera import Camera
from app.picture.theme import DARK
from app.video import cards, charts, template, typeface
from app.video.canvas import Align, Canvas, painting
from app.video.clock import Caption
from app.video.figures import Lane, lane_of
from app.video.formats import video_format
from app.video.framing import Framing, View
from app.video.layout import Box, frame_of
from app.video.pictures import Pictures, Wishes
from app.video.run_scene import RunScene, _two_digits
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


@pytest.mark.parametrize("size", [(960, 540), (540, 540), (540, 960)])
def test_that_words_of_lanes_do_not_stand_in_each_other_while_their_panes_come_out_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    names = ("random", "knn", "lsh")
    list(record(growing_run(names), tmp_path / "run"))
    one = scene(tmp_path / "run", size)
    heads: list[tuple[float, float, float]] = []
    plain = Canvas.text

    def text(self: Canvas, box: Box, words: str, color: object, size: float, *args: object, **options: object) -> float:
        if (
            box.y < one.layout.whole.bottom
            and (words in names or words == "1.00")
            and options.get("opacity", 1.0) > 0.3
        ):
            wide = min(typeface.width(words, size * one._frame.unit, bold=True), box.width)
            begin = box.right - wide if Align.RIGHT in args else box.x
            heads.append((box.y, begin, begin + wide))
        return plain(self, box, words, color, size, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Canvas, "text", text)
    seen = 0
    for dealt in np.linspace(0.05, 1.0, 20).tolist():
        monkeypatch.setattr(type(one.plan), "dealt", lambda plan, share, dealt=dealt: dealt)
        heads.clear()
        one.draw(np.zeros((size[1], size[0], 4), np.uint8), 1.0)
        for (high, _, end), (other, begin, _) in pairwise(sorted(heads)):
            assert abs(high - other) > 4 or begin >= end, (dealt, sorted(heads))
        seen = len(heads)
    assert seen == 6, "each lane's name and value at the end"


def five_lanes(folder: Path, last: str = "five") -> list[Lane]:
    """As they are drawn at the end of a run."""
    names = ("one", "two", "three", "four", last)
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


def test_that_a_lane_without_another_has_no_line_in_its_wipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dots: list[float] = []
    monkeypatch.setattr(Canvas, "dot", lambda self, x, y, radius, *_: dots.append(radius))
    for names in (("only",), ("random", "knn")):
        dots.clear()
        list(record(growing_run(names), tmp_path / names[0]))
        scene(tmp_path / names[0], (320, 180), "wipe").draw(np.zeros((180, 320, 4), np.uint8), 0.3)
        assert (16 in dots) == (len(names) > 1)


def test_that_a_long_name_beside_a_bar_is_cut_short_and_leaves_the_others_and_their_words_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = five_lanes(tmp_path, "a lane with an exceedingly long name 40")
    written = told(monkeypatch)
    with painting(np.zeros((700, 600, 4), np.uint8), DARK, 1.0) as canvas:
        charts.bars(canvas, Box(0, 0, 600, 170), charts.Moment(60, 60, lanes, mining_ms=[2.0] * 5))
    assert len({size for _, _, size in written}) == 1 and written[0][2] > 18
    words = [box for text, box, size in written if text == "2.00 ms a step"]
    assert len(words) == 5 and all(typeface.width("2.00 ms a step", written[0][2]) <= box.width + 1 for box in words)


def test_that_values_of_many_lanes_stay_below_the_title_of_a_low_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = five_lanes(tmp_path)
    spread = [replace(lane, quality=replace(lane.quality, y=lane.quality.y - 0.1 * n)) for n, lane in enumerate(lanes)]
    written = told(monkeypatch)
    chart = Box(0, 100, 700, 170)
    with painting(np.zeros((400, 700, 4), np.uint8), DARK, 1.0) as canvas:
        charts.curves(canvas, chart, charts.Moment(60, 60, spread), lambda lane: lane.quality)
    values = [(box, size) for text, box, size in written if text in ("1.00", "0.90", "0.80", "0.70", "0.60")]
    values = [(box, size) for box, size in values if box.x > 600]
    assert len(values) == 5
    assert min(box.y for box, _ in values) >= chart.y and max(box.bottom for box, _ in values) <= chart.bottom
    assert all(charts.LEAST_VALUE * charts.VALUE <= size < charts.VALUE for _, size in values)


def test_that_a_long_title_ends_before_the_step_in_every_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ((640, 360), (360, 640)):
        layout = scene(seen_in_part(tmp_path / str(size[0])), size).layout
        assert layout.title.right <= layout.head.right - typeface.width("step 1,000 of 1,000", 36 * size[0] / 1920)


def test_that_facts_on_the_end_card_stand_evenly_one_below_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[tuple[Box, float]] = []
    plain = Canvas.paragraph

    def paragraph(self: Canvas, box: Box, *args: object, **options: object) -> float:
        high = plain(self, box, *args, **options)  # type: ignore[arg-type]
        placed.append((box, high))
        return high

    list(record(growing_run(), tmp_path / "run"))
    long = "MAP@R on 1,000 held-out items · mining time: of a step, refreshes spread over all"
    monkeypatch.setattr(Story, "measured", lambda _story: ["one run, seed 0", long, "numpy 2.4.6"])
    monkeypatch.setattr(Canvas, "paragraph", paragraph)
    frame = frame_of(540, 960)
    with painting(np.zeros((960, 540, 4), np.uint8), DARK, frame.unit) as canvas:
        cards.end_card(canvas, frame, Story(open_recording(tmp_path / "run")), 1.0)
    gaps = [after.y - before.y - high for (before, high), (after, _) in pairwise(placed)]
    assert len({round(high) for _, high in placed}) > 1, "some take two lines"
    assert max(gaps) - min(gaps) <= 1 and min(gaps) > 0


def test_that_a_letter_that_no_font_holds_is_a_box_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typeface, "_is_lacking", lambda letter: letter in "難🎉\ufe0f")
    path, width = typeface.outline("one 難🎉\ufe0f", False)
    plain, wide = typeface.outline(f"one {2 * typeface.BOX}", False)
    assert path == plain and width == wide and wide > typeface.outline("one ", False)[1]
    list(record(growing_run(), tmp_path / "run"))
    wishes = Wishes(template.load("orbit"), captions=(Caption(0, 1, "Look: 難🎉\ufe0f, 難.", "look"),))
    assert Pictures(tmp_path / "run", video_format(tmp_path / "o.mp4", (320, 180), 12), wishes).lacking == "難🎉"


def test_that_numbers_at_a_loss_keep_their_second_digit() -> None:
    assert [_two_digits(value) for value in (0.4, 0.42, 0.0, 12.0, 0.041)] == ["0.40", "0.42", "0.0", "12", "0.041"]

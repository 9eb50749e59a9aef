"""The timing bars: their lengths are milliseconds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QApplication

from app.picture.theme import DARK, LIGHT
from app.views.phase_key import flow
from app.views.timing_view import PHASE_COLOURS, TimingView
from hnm_core.run.events import StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.timing import MINING_PHASES, PHASES, Phase
from tests.app.fake_runs import run_history
from tests.app.runs import config, started


def history(**lanes):
    """Lanes of 40 equal steps."""
    run = RunHistory()
    run.add(started(config(*lanes)))
    for step in range(1, 41):
        for lane, ms in lanes.items():
            run.add(StepRecord(lane, step, 1.0, phase_ms=ms))
    return run


@pytest.fixture
def view(qtbot):
    view = TimingView()
    qtbot.addWidget(view)
    view.resize(420, 230)
    with qtbot.waitExposed(view):
        view.show()
    return view


def widths(view, lane):
    view.bars.grab()
    return {segment.phase: segment.box.width() for segment in view.bars.segments if segment.bar.lane == lane}


def test_that_lengths_are_in_proportion_to_milliseconds_within_and_between_lanes(view):
    view.show_history(history(one={Phase.SEARCH: 1.0, Phase.STEP: 3.0}, two={Phase.SEARCH: 6.0}))
    one, two = widths(view, "one"), widths(view, "two")
    assert one[Phase.STEP] == pytest.approx(3 * one[Phase.SEARCH])
    assert two[Phase.SEARCH] == pytest.approx(6 * one[Phase.SEARCH])


def test_that_shares_fill_the_same_width_in_every_lane(view, qtbot):
    view.show_history(history(one={Phase.SEARCH: 1.0, Phase.STEP: 3.0}, two={Phase.SEARCH: 60.0}))
    qtbot.mouseClick(view.share_button, Qt.MouseButton.LeftButton)
    one, two = widths(view, "one"), widths(view, "two")
    assert sum(one.values()) == pytest.approx(sum(two.values()))
    assert one[Phase.SEARCH] == pytest.approx(sum(one.values()) / 4)


def test_that_phases_are_stacked_in_their_order_without_gaps(view):
    view.show_history(history(one=dict.fromkeys(PHASES, 1.0)))
    view.bars.grab()
    segments = view.bars.segments
    assert [segment.phase for segment in segments] == list(PHASES)
    for before, after in pairwise(segments):
        assert after.box.left() == pytest.approx(before.box.right())


def test_that_every_phase_has_a_colour_of_its_own_and_it_is_on_the_screen(view):
    assert len(set(PHASE_COLOURS.values())) == len(PHASES)
    assert set(PHASE_COLOURS) == set(PHASES)
    view.show_history(history(one=dict.fromkeys(PHASES, 1.0)))
    image = view.bars.grab().toImage()
    for segment in view.bars.segments:
        corner = image.pixelColor(int(segment.box.left()) + 2, int(segment.box.top()) + 2).getRgb()[:3]
        assert corner == PHASE_COLOURS[segment.phase]


def test_that_the_tool_tip_tells_a_phase_its_part_and_what_is_left_out(view):
    run = RunHistory()
    run.add(started(config("one")))
    run.add(StepRecord("one", 0, 1.0, phase_ms={Phase.STEP: 900.0}, first_call=True))
    for step in range(1, 41):
        run.add(
            StepRecord("one", step, 1.0, phase_ms={Phase.STEP: 1.0, **({Phase.EMBED: 8.0} if step % 4 == 0 else {})})
        )
    view.show_history(run)
    view.bars.grab()
    embed = next(segment for segment in view.bars.segments if segment.phase is Phase.EMBED)
    tip = view.bars.tip_at(embed.box.center())
    assert tip.splitlines() == [
        "one, embed (mining): 2.00 ms a step",
        "mining in all: 2.00 ms a step, p95 2.00",
        "first calls, left out: 1, 900 ms in all",
    ]
    assert view.bars.tip_at(QPointF(1, 1)) == ""


def test_that_scrubbing_shows_the_times_as_they_were(view):
    run = RunHistory()
    run.add(started(config("one")))
    for step in range(1, 1001):
        run.add(StepRecord("one", step, 1.0, phase_ms={Phase.STEP: 1.0 if step <= 500 else 5.0}))
    view.show_history(run, 400)
    assert view.bars.bars[0].total == 1.0
    view.show_history(run)
    assert view.bars.bars[0].total == 3.0


def test_that_a_lane_without_a_timed_step_has_no_bar_and_no_figures(view, monkeypatch):
    run = RunHistory()
    run.add(started(config("one", "two")))
    run.add(StepRecord("one", 1, 1.0, phase_ms={Phase.STEP: 2.0}))
    run.add(StepRecord("two", 1, 1.0, phase_ms={Phase.STEP: 900.0}, first_call=True))
    view.show_history(run)
    assert view.key.title == "mean of 1 step"
    written = []
    pen = type("Pen", (QPainter,), {"drawText": lambda _pen, *given: written.append(given[-1])})
    monkeypatch.setattr("app.views.timing_view.QPainter", pen)
    view.bars.grab()
    assert "not timed yet" in written and not any("= 0.00 ms" in text for text in written)
    assert {segment.bar.lane for segment in view.bars.segments} == {"one"}


def test_that_an_empty_run_says_what_will_be_here(view):
    view.show_history(RunHistory())
    assert "appears here" in view.bars.message
    view.grab()
    assert view.bars.segments == []


@pytest.mark.parametrize("size", [(320, 180), (220, 90), (900, 400)])
def test_that_it_paints_at_any_size_in_both_themes(view, size):
    view.show_history(run_history(200))
    view.resize(*size)
    for theme in (DARK, LIGHT):
        view.set_theme(theme)
        image = view.bars.grab().toImage()
        assert len({segment.bar.lane for segment in view.bars.segments}) == 3
        assert all(segment.box.bottom() <= view.bars.height() for segment in view.bars.segments)
        assert image.pixelColor(2, 2).getRgb()[:3] == theme.panel


@pytest.mark.parametrize("size", [(420, 180), (300, 130), (600, 150)])
@pytest.mark.parametrize("lanes", [2, 6])
def test_that_every_phase_is_named_by_its_colour_however_many_lanes_there_are(view, lanes, size):
    view.resize(*size)
    view.show_history(history(**{f"lane{place}": dict.fromkeys(PHASES, 1.0) for place in range(lanes)}))
    QApplication.processEvents()
    assert view.key.phases == PHASES
    lines = view.key._lines
    written = [(text, colour) for line in lines for _, text, colour in line]
    assert [entry for entry in written if entry[1]] == [
        (str(phase), PHASE_COLOURS[phase]) for phase in sorted(PHASES, key=lambda phase: phase not in MINING_PHASES)
    ]
    image = view.key.grab().toImage()
    seen = {image.pixelColor(x, y).getRgb()[:3] for x in range(image.width()) for y in range(image.height())}
    assert set(PHASE_COLOURS.values()) <= seen
    assert all(x + 20 < view.key.width() for line in lines for x, *_ in line)
    assert view.key.geometry().bottom() <= view.bars.geometry().top()
    assert len(widths(view, "lane0")) == len(PHASES)


def test_that_a_heading_is_not_left_at_the_end_of_a_line():
    entries = [("title", None), ("a:", None), ("one", (1, 1, 1)), ("b:", None), ("two", (2, 2, 2))]
    broken = list(flow(entries, lambda text: 10.0 * len(text), 150.0))
    assert [[text for _, text, _ in line] for line in broken] == [["title", "a:", "one"], ["b:", "two"]]
    assert [[x for x, *_ in line] for line in broken] == [[0, 60, 90], [0, 30]]
    narrow = list(flow(entries, lambda text: 10.0 * len(text), 100.0))
    assert [[text for _, text, _ in line] for line in narrow] == [["title"], ["a:", "one"], ["b:", "two"]]

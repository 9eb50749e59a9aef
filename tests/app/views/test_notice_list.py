from __future__ import annotations

import pytest

from app.history.markers import Marker
from app.picture.theme import DARK
from app.views.notice_list import MAX_LINES, NoticesButton, shortened
from app.views.timeline_view import TimelineView


@pytest.fixture
def button(qtbot):
    button = NoticesButton()
    qtbot.addWidget(button)
    return button


def lines(button):
    return [action.text() for action in button.menu().actions()]


def test_that_options_and_warm_ups_are_no_notices(button):
    button.show_notices([Marker("knn", 3, "lr = 1", "option"), Marker("knn", 9, "warm-up over", "warm-up")])
    assert button.notices == ()
    assert not button.isVisibleTo(None)


def test_that_many_notices_take_the_room_of_one_button_and_a_line_each_in_its_list(button):
    button.show_notices([Marker("knn", step, "x " * 200, "warning") for step in range(20)])
    assert button.text() == "20 notices"
    assert len(lines(button)) == MAX_LINES + 1
    assert all(len(line) < 120 for line in lines(button))
    assert lines(button)[-1] == "and 8 before; all are on the timeline"


def test_that_the_colour_is_that_of_the_gravest(button):
    for kind, colour in (("hint", DARK.muted), ("warning", DARK.warning), ("fatal", DARK.error)):
        button.show_notices([*button.notices, Marker("knn", 1, "so it is", kind)])
        assert "rgb({}, {}, {})".format(*colour) in button.styleSheet()


def test_that_choosing_a_notice_takes_the_timeline_to_its_step(qtbot):
    timeline = TimelineView()
    qtbot.addWidget(timeline)
    timeline.set_range(1000)
    timeline.set_markers([Marker("knn", 812, "nearly all are easy", "hint")])
    assert timeline.notices.text() == "1 notice"
    with qtbot.waitSignal(timeline.scrubbed) as caught:
        timeline.notices.menu().actions()[0].trigger()
    assert caught.args == [812]
    assert timeline.step == 812
    assert not timeline.track.live


def test_that_a_long_line_is_cut_at_a_word():
    assert shortened("one two three", 9) == "one two ..."
    assert shortened("one two", 9) == "one two"

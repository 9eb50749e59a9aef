from __future__ import annotations

import pytest

from app.picture.theme import LIGHT
from app.views.audit_view import AuditView
from hnm_core.run.auditing import COLUMNS, cells
from hnm_core.run.events import RunStarted, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.results import LaneResult
from tests.run.lanes import record, started
from tests.run.naive_results import naive_results

LANES = ("random", "knn", "still warm")


def events() -> list[RunStarted | StepRecord]:
    found: list[RunStarted | StepRecord] = [started(*LANES)]
    for step in range(1, 41):
        for place, lane in enumerate(LANES):
            tuples = {
                "mined": 3 * step,
                "hard": step,
                "semi_hard": place,
                "easy": 2 * step - place,
                "missing": step % 3,
            }
            mining = step > (0, 10, 1000)[place]
            found.append(record(step, lane=lane, tuples=tuples, mining=mining, metrics={"mining_recall": step / 64}))
    return found


@pytest.fixture
def view(qtbot) -> AuditView:
    view = AuditView()
    qtbot.addWidget(view)
    return view


def test_that_the_table_has_a_row_for_each_lane_and_follows_the_step(view):
    history = RunHistory()
    for event in events():
        history.add(event)
    view.show_history(history, 25)
    texts = [[view.table.item(row, column).text() for column in range(len(COLUMNS))] for row in range(3)]
    assert texts == [list(cells(LaneResult(**row))) for row in naive_results(events(), 25)]
    assert [row[0] for row in texts] == list(LANES)
    assert texts[2][1] == "0"
    view.set_theme(LIGHT)
    view.show_history(history)
    assert view.table.item(1, 1).text() == f"{3 * sum(range(11, 41)):,}"


def test_that_a_run_without_a_step_is_an_audit_of_nothing(view):
    view.show_history(RunHistory())
    assert view.table.rowCount() == 0
    history = RunHistory()
    history.add(started("knn"))
    view.show_history(history)
    assert [view.table.item(0, column).text() for column in range(3)] == ["knn", "0", "-"]

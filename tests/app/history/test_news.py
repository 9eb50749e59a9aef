from __future__ import annotations

from app.history.news import News, news
from hnm_core.run.events import Alarm, LaneForked, OptionChanged, RunFailed, WarmupEnded
from tests.run.lanes import record, started


def test_that_what_is_told_comes_in_order_and_changes_of_a_new_lane_are_its_own():
    failed, fork, alarm = RunFailed("words"), LaneForked("new", 5, "knn"), Alarm("knn", 5, "collapse", "words")
    asked = OptionChanged("knn", 6, "miner", "lsh", "knn", asked=True)
    with_it = OptionChanged("new", 6, "miner", "lsh", "knn", asked=True)
    by_itself = OptionChanged("knn", 6, "alpha", "4")
    found = news([record(5), alarm, fork, with_it, by_itself, asked, record(6), failed])
    assert found == News((alarm, fork, failed), (asked,), True)


def test_that_steps_and_ends_of_warm_ups_say_nothing_of_the_form_and_a_start_does():
    assert news([record(1), WarmupEnded("knn", 2, "knn"), record(2)]) == News()
    assert news([RunFailed("words")]).touches_form is False
    assert news([started("knn")]) == News(touches_form=True)
    assert news([]) == News()

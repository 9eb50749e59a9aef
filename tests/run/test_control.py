"""Requests to a running experiment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hnm_core.run.control import ChangeRequest, Control, ForkRequest


class Runner:
    """Runs rounds on a thread as an experiment does, and counts them."""

    def __init__(self, control: Control) -> None:
        self.rounds = 0
        self.moved = threading.Condition()
        self._control = control
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while self._control.next_turn() == "step":
            with self.moved:
                self.rounds += 1
                self.moved.notify_all()

    def reaches(self, rounds: int) -> bool:
        with self.moved:
            return self.moved.wait_for(lambda: self.rounds >= rounds, timeout=5)

    def stands_still(self) -> bool:
        with self.moved:
            before = self.rounds
            return not self.moved.wait_for(lambda: self.rounds > before, timeout=0.05)


@contextmanager
def running(control: Control) -> Iterator[Runner]:
    runner = Runner(control)
    runner.thread.start()
    try:
        yield runner
    finally:
        control.stop()
        runner.thread.join(5)
        assert not runner.thread.is_alive()


def test_that_a_paused_run_stands_still_until_it_is_resumed() -> None:
    control = Control(paused=True)
    with running(control) as runner:
        assert runner.stands_still() and runner.rounds == 0 and control.paused
        control.resume()
        assert runner.reaches(100) and not control.paused
        control.pause()
        assert control.paused and (runner.stands_still() or runner.stands_still())


def test_that_steps_asked_for_are_done_and_no_more() -> None:
    control = Control(paused=True)
    with running(control) as runner:
        control.step()
        assert runner.reaches(1) and runner.stands_still()
        control.step(3)
        control.step(2)
        assert runner.reaches(6) and runner.stands_still() and runner.rounds == 6 and control.paused


def test_that_who_looks_is_told_once_that_the_run_has_come_to_stand_still() -> None:
    control = Control()
    assert control.next_turn(looks=True) == "step"
    control.pause()
    control.embed(np.arange(3), lambda _lanes: None)
    assert control.next_turn(looks=True) == "obey"
    control.requests()
    assert control.next_turn(looks=True) == "look"
    control.step()
    assert control.next_turn(looks=True) == "step"
    assert control.next_turn(looks=True) == "look"
    with running(control) as runner:  # which does not look
        assert runner.stands_still() and runner.rounds == 0


def test_that_a_pause_forgets_the_steps_that_were_asked_for() -> None:
    control = Control(paused=True)
    control.step(5)
    assert not control.paused and control.next_turn() == "step"
    control.pause()
    with running(control) as runner:
        assert runner.stands_still() and runner.rounds == 0


def test_that_a_stop_ends_a_paused_run_and_stays() -> None:
    control = Control(paused=True)
    with running(control):
        control.stop()
    control.resume()
    assert control.stopped and control.next_turn() == "stop"


def test_that_a_rate_is_kept_without_bursts_and_can_be_lifted() -> None:
    control = Control(rate=50.0)
    with running(control) as runner:
        assert runner.reaches(1)
        start, before = time.monotonic(), runner.rounds
        time.sleep(0.4)
        assert runner.rounds - before <= 50 * (time.monotonic() - start) + 1
        assert runner.rounds - before >= 10
        control.pause()
        time.sleep(0.2)
        control.resume()  # what was not done while it stood still is not made up for
        start, before = time.monotonic(), runner.rounds
        time.sleep(0.1)
        assert runner.rounds - before <= 50 * (time.monotonic() - start) + 2
        control.set_rate(None)
        assert runner.reaches(runner.rounds + 1000)


def test_that_single_steps_and_a_stop_do_not_wait_for_the_rate() -> None:
    control = Control(rate=0.01)
    with running(control) as runner:
        assert runner.reaches(1) and runner.stands_still()
        control.step(2)
        assert runner.reaches(3) and runner.stands_still()
        control.resume()
        control.set_rate(1000.0)
        assert runner.reaches(10)
        control.set_rate(0.01)


def test_that_requests_are_taken_once_in_their_order_and_together_where_asked_together() -> None:
    control = Control()
    control.change("a", "lr", 0.1)
    control.change_together({"a": {"miner": "knn", "hard_share": 1}, "b": {"lr": 0.2}})
    control.fork("b", "c", {"miner": "lsh"})
    assert control.requests() == [
        ChangeRequest("a", {"lr": 0.1}),
        ChangeRequest("a", {"miner": "knn", "hard_share": 1}),
        ChangeRequest("b", {"lr": 0.2}),
        ForkRequest("b", "c", {"miner": "lsh"}),
    ]
    assert control.requests() == []


def test_that_requests_come_before_the_next_step_also_while_paused_and_a_stop_comes_first() -> None:
    control = Control(paused=True)
    control.step()
    control.change("a", "lr", 0.1)
    assert control.next_turn() == "obey"
    control.requests()
    assert control.next_turn() == "step"
    control.fork("a", "b")
    assert control.next_turn() == "obey", "paused"
    control.stop()
    assert control.next_turn() == "stop"


def test_that_a_request_wakes_a_run_that_stands_still() -> None:
    control, turns = Control(paused=True), []
    thread = threading.Thread(target=lambda: turns.append(control.next_turn()))
    thread.start()
    control.change("a", "lr", 0.1)
    thread.join(5)
    assert turns == ["obey"]

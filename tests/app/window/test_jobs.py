from __future__ import annotations

import threading
import time

import pytest

from app.window.errors import BugReporter
from app.window.jobs import Jobs
from hnm_core.errors import InputError


@pytest.fixture
def jobs(qapp):
    made = Jobs(qapp, BugReporter())
    yield made
    made.close()


class Log:
    def __init__(self, jobs: Jobs) -> None:
        self.ended: list[tuple[str, str]] = []
        self.progress: list[tuple[int, int]] = []
        jobs.ended.connect(lambda title, outcome: self.ended.append((title, outcome)))
        jobs.progressed.connect(lambda _title, done, total: self.progress.append((done, total)))


def test_that_a_job_works_on_a_thread_of_its_own_and_its_result_comes_back_to_ours(jobs, qtbot):
    log, threads, results = Log(jobs), [], []

    def work(progress):
        threads.append(threading.current_thread())
        for done in range(1, 4):
            progress(done, 3)
        return 42

    jobs.run("copy", work, lambda value: results.append((value, threading.current_thread())))
    assert jobs.busy
    qtbot.waitUntil(lambda: not jobs.busy, timeout=3000)
    assert results == [(42, threading.main_thread())]
    assert threads[0] is not threading.main_thread()
    assert not threads[0].daemon
    assert log.progress[-1] == (3, 3)
    assert log.ended == [("copy", "")]


def test_that_a_job_called_off_ends_soon_and_delivers_nothing(jobs, qtbot):
    log, results = Log(jobs), []

    def work(progress):
        while progress(0, 0):
            time.sleep(0.005)

    jobs.run("render", work, results.append)
    qtbot.wait(50)
    jobs.cancel()
    qtbot.waitUntil(lambda: not jobs.busy, timeout=3000)
    assert log.ended == [("render", "cancelled")]
    assert results == []


def test_that_wrong_input_found_by_a_job_is_its_outcome_and_no_bug(jobs, qtbot):
    log, bugs = Log(jobs), []
    jobs._bugs.reported.connect(lambda *args: bugs.append(args))

    def work(_progress):
        raise InputError("'x.mp4' cannot be written.")

    jobs.run("render", work)
    qtbot.waitUntil(lambda: not jobs.busy, timeout=3000)
    assert log.ended == [("render", "'x.mp4' cannot be written.")]
    assert bugs == []


def test_that_a_bug_in_a_job_is_reported_and_the_next_job_runs(jobs, qtbot):
    log, bugs = Log(jobs), []
    jobs._bugs.reported.connect(lambda title, path: bugs.append((title, path)))
    jobs.run("render", lambda _progress: 1 // 0)
    qtbot.waitUntil(lambda: not jobs.busy, timeout=3000)
    assert bugs[0][0].startswith("render: ZeroDivisionError")
    jobs.run("copy", lambda _progress: None)
    qtbot.waitUntil(lambda: not jobs.busy, timeout=3000)
    assert log.ended[-1] == ("copy", "")


def test_that_the_same_job_twice_at_a_time_is_refused_in_words(jobs, qtbot):
    jobs.run("render", lambda progress: time.sleep(0.1))
    with pytest.raises(InputError, match="still at work"):
        jobs.run("render", lambda progress: None)
    qtbot.waitUntil(lambda: not jobs.busy, timeout=3000)

"""The mailbox between the training thread and a window."""

from __future__ import annotations

import pickle
import threading

import numpy as np

from hnm_core.run.channel import Channel
from hnm_core.run.events import Alarm, Frame, RunFinished, StepRecord


def frame(lane: str, step: int) -> Frame:
    return Frame(lane, step, np.zeros((2, 3), np.float32), np.zeros((0, 3), np.int32), 0)


def test_that_only_the_newest_frame_of_each_lane_is_kept() -> None:
    channel = Channel()
    for step in range(5):
        channel.put(frame("a", step))
    channel.put(frame("b", 1))
    assert [(item.lane, item.step) for item in channel.drain().frames] == [("a", 4), ("b", 1)]
    assert channel.drain().frames == ()


def test_that_records_above_the_bound_are_counted_and_lifecycle_events_never_lost() -> None:
    channel = Channel(max_records=3)
    for step in range(5):
        channel.put(StepRecord("a", step, 0.0))
        channel.put(Alarm("a", step, "code", "words"))
    channel.put(RunFinished({"a": 5}, 1.0))
    drained = channel.drain()
    assert [event.step for event in drained.events if isinstance(event, StepRecord)] == [0, 1, 2]
    assert sum(isinstance(event, Alarm) for event in drained.events) == 5
    assert isinstance(drained.events[-1], RunFinished)
    assert drained.dropped_records == 2
    channel.put(StepRecord("a", 9, 0.0))
    assert len(channel.drain().events) == 1 and channel.drain().dropped_records == 2


def test_that_nothing_is_lost_or_reordered_between_threads() -> None:
    channel = Channel()
    count = 20_000
    producer = threading.Thread(target=lambda: [channel.put(StepRecord("a", step, 0.0)) for step in range(count)])
    producer.start()
    steps: list[int] = []
    while producer.is_alive() or len(steps) < count:
        steps += [event.step for event in channel.drain().events]
    producer.join()
    assert steps == list(range(count))


def test_that_what_was_drained_can_go_to_another_process() -> None:
    channel = Channel()
    channel.put(StepRecord("a", 1, 0.5, tuples={"hard": 3}))
    channel.put(frame("a", 1))
    drained = pickle.loads(pickle.dumps(channel.drain()))
    assert drained.events[0].tuples == {"hard": 3} and drained.frames[0].positions.shape == (2, 3)


def test_that_what_one_channel_drained_another_hands_on_with_its_losses() -> None:
    first, second = Channel(max_records=2), Channel(max_records=3)
    for step in range(4):
        first.put(StepRecord("a", step, 0.0))
        first.put(frame("a", step))
    second.put_all(first.drain())
    first.put(StepRecord("a", 4, 0.0))
    first.put(StepRecord("a", 5, 0.0))
    first.put(frame("a", 5))
    second.put_all(first.drain())
    drained = second.drain()
    assert [event.step for event in drained.events if isinstance(event, StepRecord)] == [0, 1, 4]
    assert [item.step for item in drained.frames] == [5]
    assert drained.dropped_records == 2 + 1

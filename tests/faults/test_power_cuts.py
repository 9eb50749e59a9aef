"""A power cut at any moment: what was on the disk by then opens, with all that was told up to the last round of
syncing, and nothing that was not told."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnm_core.recording import disk, open_recording, record, replay, syncing
from hnm_core.recording.layout import RUN_FILE
from hnm_core.run.events import Event
from tests.faults.judging import TRIES, Counts, judged, streams, truth
from tests.faults.losing_disk import LosingDisk

CUTS = 100


class Rounds:
    """Notes in the journal when a round of syncing begins and ends, and what was told by then."""

    def __init__(self, store: LosingDisk, patch: pytest.MonkeyPatch) -> None:
        self.told = 0
        """Events that `record` has yielded."""
        self.done: list[tuple[int, int]] = []
        """Of each round: the length of the journal at its end, and how many events had been told at its begin."""
        self._news = threading.Condition()
        sync = syncing.Syncer.sync

        def noted(syncer: syncing.Syncer) -> None:
            told = self.told
            sync(syncer)
            with self._news:
                self.done.append((store.note("round"), told))
                self._news.notify_all()

        patch.setattr(syncing.Syncer, "sync", noted)

    def wait(self, count: int) -> None:
        """Until so many rounds were done."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.done) >= count, 60)

    def safe(self, at: int) -> int:
        """How many events must be there after a power cut at a place of the journal."""
        return max((told for end, told in self.done if end <= at), default=0)


def watched(events: list[Event], rounds: Rounds, every: int) -> Iterator[Event]:
    """The events, with a wait for another round of syncing now and then."""
    for place, event in enumerate(events):
        if place % every == every - 1:
            rounds.wait(len(rounds.done) + 1)
        yield event


def test_that_after_a_power_cut_all_is_there_that_was_told_before_the_last_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = truth(steps=24)
    store = LosingDisk(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    store.note("make", folder)
    with monkeypatch.context() as patch:
        patch.setattr(syncing, "INTERVAL_S", 0.001)
        store.install(patch)
        rounds = Rounds(store, patch)
        for _ in record(watched(events, rounds, 20), folder):
            rounds.told += 1
    begun = next(
        place for place, (what, of) in enumerate(store.journal, 1) if what == "sync folder" and of == (tmp_path,)
    )
    counts, rng = Counts("power cut"), random.Random(7)
    for number in range(CUTS * TRIES):
        at = rng.randint(begun, len(store.journal))
        target = tmp_path / f"cut{number}"
        target.mkdir()
        store.after_power_cut(at, target, rng)
        outcome = judged(target / "run", events)
        counts.take(outcome)
        if outcome in ("lost", "whole"):
            found = streams(list(replay(target / "run")))
            for key, stream in streams(events[: rounds.safe(at)]).items():
                assert len(found.get(key, [])) >= len(stream), (number, at, key)
        shutil.rmtree(target)
    counts.report()
    assert (counts.opened, counts.wrong) == (counts.tries, 0)
    assert counts.lost > counts.tries // 2  # the disk does lose something


def test_that_before_the_header_is_on_the_disk_there_is_no_recording_or_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = truth(steps=2)
    store = LosingDisk(tmp_path)
    (tmp_path / "run").mkdir()
    store.note("make", tmp_path / "run")
    with monkeypatch.context() as patch:
        store.install(patch)
        recorded = record(iter(events), tmp_path / "run")
        next(recorded)
        begun = len(store.journal)
        recorded.close()
    rng, opened = random.Random(3), 0
    for at in range(1, begun + 1):
        target = tmp_path / f"cut{at}"
        target.mkdir()
        store.after_power_cut(at, target, rng)
        if (target / "run" / RUN_FILE).exists():
            assert judged(target / "run", events) in ("whole", "lost")
            opened += 1
    assert opened > 0


def test_that_a_round_syncs_what_an_index_vouches_for_before_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(disk, "sync", lambda file, length_alone=True: order.append(file.path.name))
    monkeypatch.setattr(syncing, "INTERVAL_S", 3600.0)
    list(record(truth(steps=4), tmp_path / "run"))
    last = order[order.index("run.json.part") + 1 :]
    assert last.count("frames.idx") == 3 and set(last[-3:]) == {"frames.idx"}
    assert max(last.index(name) for name in ("layers.jsonl", "frames.bin")) < last.index("steps.bin")


def test_that_the_training_thread_waits_for_the_disk_at_the_begin_and_for_weights_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[str] = []
    plain = disk.sync

    def noted(file: disk.OutFile, *, length_alone: bool = True) -> None:
        if threading.current_thread() is threading.main_thread():
            here.append(file.path.name)
        plain(file, length_alone=length_alone)

    monkeypatch.setattr(disk, "sync", noted)
    monkeypatch.setattr(syncing, "INTERVAL_S", 0.001)
    recorded = record(truth(), tmp_path / "run")
    next(recorded)
    at_begin = len(here)
    assert "run.json.part" in here and "ids.npy" in here
    for event in recorded:
        if isinstance(event, type(truth()[-1])):
            break
    assert set(here[at_begin:]) == {"weights.npz.part"}
    recorded.close()
    assert open_recording(tmp_path / "run").finished is not None

"""t-SNE of a moment: asked for and left by the user, in the clouds of a run that goes on and of a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.history.playback import load
from app.progress import Progress
from app.training import tsne
from app.training.messages import LaidOut, LayOut, Refused
from app.training.tsne_child import laid_out
from hnm_core.errors import InputError
from hnm_core.recording import record
from hnm_core.run.events import RunState
from hnm_core.training.experiment import Experiment
from hnm_core.training.trainer import Trainer
from tests.app import engine

SIX_D = {"options": {"widths": [8], "embedding": 6}}


@pytest.fixture
def in_thread(monkeypatch: pytest.MonkeyPatch) -> list[LayOut]:
    """No process of its own, which takes seconds to start; what was asked."""
    asked: list[LayOut] = []

    def lay_out(
        request: LayOut, _plug_ins: Sequence[Path], progress: Progress, tell: Callable[[LaidOut], None]
    ) -> None:
        asked.append(request)
        for one in laid_out(request):
            if isinstance(one, Refused):
                raise InputError(one.sentence)
            if not progress(0, one.of):
                raise InputError("called off")
            tell(one)

    monkeypatch.setattr(tsne, "lay_out", lay_out)
    return asked


def step(window, qtbot, number: int) -> None:
    """One more step of every lane, the `number`-th, and its frames."""
    window.actions_by_key["step"].trigger()
    qtbot.waitUntil(
        lambda: (
            {len(lane) for lane in window.stage.history.lanes.values()} == {number}
            and window.bridge.state is RunState.PAUSED
        ),
        timeout=30_000,
    )


@pytest.fixture
def six_d(open_window, qtbot):
    """A window whose lanes embed into six dimensions and stand at step 2."""
    window = open_window(config=engine.config(model=SIX_D), source=engine.source)
    for number in (1, 2):
        step(window, qtbot, number)
    qtbot.waitUntil(lambda: [frame.step for frame in window.stage.panes.frames] == [2, 2], timeout=10_000)
    return window


def all_laid_out(window) -> bool:
    """Whether both clouds are, and stand."""
    views = window.stage.panes.views
    return all("t-SNE of" in view.caption for view in views) and window.stage.panes.arrived


@pytest.mark.thorough
def test_that_a_key_lays_all_lanes_out_and_esc_goes_back_to_the_newest_frames(six_d, qtbot):
    window, panes = six_d, six_d.stage.panes
    before = [view.scene.positions.copy() for view in panes.views]
    QTest.keyClick(window, Qt.Key.Key_Y)
    assert window.actions_by_key["tsne"].isChecked() and not panes.laid_out
    qtbot.waitUntil(lambda: all_laid_out(window), timeout=120_000)
    for view, positions in zip(panes.views, before, strict=True):
        assert "t-SNE of 120 items, step 2 · distances between clusters mean nothing" in view.caption.replace(
            "\n", " · "
        )
        assert "· t-SNE" in view.accessibleName()
        assert np.isfinite(view.scene.positions).all() and view.scene.edges_shown > 0
        assert view.scene.positions.std() > 4 * positions.std()
    step(window, qtbot, 3)
    assert [frame.step for frame in panes.frames] == [2, 2] and all_laid_out(window), "it stays at its moment"
    assert all(frame.projection.startswith("PCA") for frame in panes.frames), "what is inspected is the embedding"
    window.stage.choice.pick(5)
    qtbot.waitUntil(lambda: panes.views[0].scene.radii[5] > 1.5, timeout=5_000)
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert window.stage.choice.item_id == -1 and panes.laid_out, "first the point is let go"
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert not window.actions_by_key["tsne"].isChecked() and not panes.laid_out
    qtbot.waitUntil(lambda: [frame.step for frame in panes.frames] == [3, 3] and panes.arrived, timeout=10_000)
    assert "t-SNE" not in panes.views[0].accessibleName() and "PCA of 6-D" in panes.views[0].caption


@pytest.mark.thorough
def test_that_the_training_is_not_asked_for_what_frames_tell(training, qtbot, in_thread, monkeypatch):
    monkeypatch.setattr(training.bridge, "embed", lambda *_: pytest.fail("it was asked"))
    frames = training.stage.panes.frames
    training.actions_by_key["tsne"].trigger()
    qtbot.waitUntil(lambda: all_laid_out(training), timeout=60_000)
    (asked,) = in_thread
    np.testing.assert_array_equal(asked.lanes["knn"].vectors, frames[1].positions)
    assert asked.lanes["knn"].step == frames[1].step and asked.recording is None


def test_that_the_same_action_calls_it_off_while_it_is_made(six_d, qtbot):
    action = six_d.actions_by_key["tsne"]
    action.trigger()
    qtbot.waitUntil(lambda: six_d.jobs.busy, timeout=10_000)
    action.trigger()
    assert not action.isChecked()
    qtbot.waitUntil(lambda: not six_d.jobs.busy, timeout=30_000)
    assert not six_d.stage.panes.laid_out and not six_d.banner.text


def test_that_without_a_run_there_is_nothing_to_lay_out(open_window):
    window = open_window(config=engine.config(), source=engine.source)
    window.actions_by_key["tsne"].trigger()
    assert "no run to lay out yet" in window.banner.text and not window.actions_by_key["tsne"].isChecked()


@pytest.mark.thorough
def test_that_another_run_ends_it(training, qtbot, in_thread):
    training.actions_by_key["tsne"].trigger()
    qtbot.waitUntil(lambda: all_laid_out(training), timeout=60_000)
    training.actions_by_key["reset"].trigger()
    qtbot.waitUntil(lambda: not training.actions_by_key["tsne"].isChecked(), timeout=20_000)
    assert not training.stage.panes.laid_out


def test_that_a_recording_is_laid_out_at_its_end_and_says_so_and_the_timeline_leaves_it(
    open_window, qtbot, in_thread, tmp_path: Path
):
    folder = tmp_path / "recorded"
    for _ in record(Experiment(engine.config(steps=6, frame_every=2, model=SIX_D, device="cpu")).run(), folder):
        pass
    window = open_window(config=engine.config(), source=engine.source)
    window.session.show_past(*load(folder, lambda *_: True))
    window.stage.timeline.set_playing(False)
    window.stage.timeline.track.moved.emit(2)
    qtbot.waitUntil(lambda: [frame.step for frame in window.stage.panes.frames] == [2, 2], timeout=10_000)
    window.actions_by_key["tsne"].trigger()
    assert "A recording holds the networks at its end only: t-SNE of step 6." in window.banner.text
    qtbot.waitUntil(lambda: all_laid_out(window), timeout=60_000)
    assert in_thread[0].recording == folder and [frame.step for frame in window.stage.panes.frames] == [6, 6]
    assert "step 6" in window.stage.panes.views[0].caption
    window.stage.timeline.track.moved.emit(4)
    qtbot.waitUntil(lambda: not window.stage.panes.laid_out, timeout=10_000)
    assert not window.actions_by_key["tsne"].isChecked()
    qtbot.waitUntil(lambda: [frame.step for frame in window.stage.panes.frames] == [4, 4], timeout=10_000)


@pytest.mark.thorough
def test_that_an_audit_is_the_same_at_every_step_so_nothing_is_said_of_its_end(
    open_window, qtbot, in_thread, tmp_path: Path
):
    folder = tmp_path / "audit"
    of = engine.config(steps=4, frame_every=2, model={"name": "identity"}, device="cpu")
    for _ in record(Experiment(of).run(), folder):
        pass
    window = open_window(config=engine.config(), source=engine.source)
    window.session.show_past(*load(folder, lambda *_: True))
    window.stage.timeline.set_playing(False)
    window.stage.timeline.track.moved.emit(2)
    qtbot.waitUntil(lambda: [frame.step for frame in window.stage.panes.frames] == [2, 2], timeout=10_000)
    window.actions_by_key["tsne"].trigger()
    qtbot.waitUntil(lambda: all_laid_out(window), timeout=60_000)
    assert not window.banner.text and [frame.step for frame in window.stage.panes.frames] == [2, 2]
    assert "t-SNE of 120 items, step 2" in window.stage.panes.views[0].caption


@pytest.mark.thorough
def test_that_of_a_run_whose_past_is_looked_at_it_is_made_now_without_the_lanes_that_cannot_tell(
    six_d, qtbot, in_thread, monkeypatch
):
    whole = Trainer.embeddings_of

    def broken(self: Trainer, ids: np.ndarray) -> np.ndarray:
        if self.lane.name == "random":
            raise RuntimeError("out of memory")
        return whole(self, ids)

    monkeypatch.setattr(Trainer, "embeddings_of", broken)
    six_d.stage.timeline.track.moved.emit(1)
    qtbot.waitUntil(lambda: [frame.step for frame in six_d.stage.panes.frames] == [1, 1], timeout=10_000)
    six_d.actions_by_key["tsne"].trigger()
    assert "The networks of step 1 are gone: t-SNE of now." in six_d.banner.text
    qtbot.waitUntil(lambda: "t-SNE of" in six_d.stage.panes.view("knn").caption, timeout=60_000)
    assert "Lane 'random' could not tell its embeddings: RuntimeError: out of memory." in six_d.banner.text
    assert "t-SNE" not in six_d.stage.panes.view("random").caption
    assert "step 2" in six_d.stage.panes.view("knn").caption

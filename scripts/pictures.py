"""Makes the pictures of the window in `docs`, from real runs.

    python scripts/pictures.py [--runs FOLDER] [NAME ...]

Runs that are in FOLDER already are taken as they are. Needs a display, a virtual one too; ten minutes for all pictures
on two cores, which should have nothing else to do, as the pictures show how long steps took.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication, QDialog, QWidget

from app.picture.slow_motion import SEARCH
from app.training.process import TrainingProcess
from app.views.inspector_data import ItemData
from app.views.inspector_view import InspectorView
from app.window.bridge import RunBridge
from app.window.errors import BugReporter
from app.window.jobs import Jobs
from app.window.main_window import MainWindow
from app.window.preparation import Preparation
from app.window.settings import Settings
from hnm_core import recording
from hnm_core.spec.request import Request, resolve
from hnm_core.training.experiment import Experiment

SIZE, QUALITY = (1600, 950), 84
SHORT_HASH = ("lanes.lsh.miner_options.bits=32", "lanes.lsh.miner_options.rescore=0")
WIDE = ("data.options.points_per_class=10", "model.options.embedding=32")

Steps = Iterator[float]
"""What is done in a window, with the seconds to wait after each part of it."""


def overview(window: MainWindow) -> Steps:
    """The whole window as it is."""
    yield 0.0


def missed(window: MainWindow) -> Steps:
    """The worst miss of a short hash, from near by."""
    yield from to_front(window, window.stage.misses)
    view = window.stage.misses
    first = view.tree.topLevelItem(0)
    assert first is not None, "a short hash misses something"
    view.tree.setCurrentItem(first)
    view.tree.itemActivated.emit(first, 0)
    yield 3.0
    inspector = dock_of(window, window.findChild(InspectorView))
    inspector.hide()
    yield 2.0


def inspector(window: MainWindow) -> Steps:
    """One five in all lanes."""
    started = window.stage.history.started
    assert started is not None
    fives = started.ids[(started.labels == 5) & ~started.held_out]
    mined = [frame.triplets[:, 0] for frame in window.stage.panes.frames]
    window.stage.choice.pick(int(next(item for item in fives if all((anchors == item).any() for anchors in mined[1:]))))
    looked = window.stage.inspecting.view.findChild(ItemData)
    assert looked is not None
    while looked.picture.pixmap().isNull():
        yield 0.5
    yield 3.0


def equal_time(window: MainWindow) -> Steps:
    """All lanes at the time that the fastest took."""
    window.actions_by_key["race"].setChecked(True)
    yield 3.0


def slow_motion(window: MainWindow) -> Steps:
    """The candidates of a step."""
    panes = window.stage.panes
    panes.set_slow_motion(True)
    window.stage.next_frame()
    while panes.panes[-1].act is not SEARCH:  # it is the last to begin
        yield 0.02
        if panes.arrived:  # a machine that has much else to do may have passed it
            window.stage.next_frame()
    yield 0.4


def class_pairs(window: MainWindow) -> Steps:
    """Twos that are mined against eights."""
    yield from to_front(window, window.stage.pairs)
    window.stage.choice.select_pair(2, 8)
    yield 4.0


def pictures(window: MainWindow) -> Steps:
    """Where nines and threes meet."""
    choice = window.stage.choice
    choice.isolate_class(9)
    choice.isolate_class(3, add=True)
    yield 1.0
    choice.zoom()
    while not all(view.thumbnail_ids for view in window.stage.panes.views):
        yield 0.5
    yield 3.0


def tsne(window: MainWindow) -> Steps:
    """All lanes laid out by t-SNE."""
    window.actions_by_key["tsne"].setChecked(True)
    while not all(pane.laid_out is not None for pane in window.stage.panes.panes):
        yield 0.5
    yield 2.0


@dataclass(frozen=True)
class Scene:
    """A picture: of which run, at which step (None: the last), in which look, and what is done for it."""

    file: str
    run: str
    show: Callable[[MainWindow], Steps] = overview
    step: int | None = None
    theme: str = "dark"


RUNS = {
    "near": Request(preset="near-classes", miners=("random", "knn", "batch-hard"), steps=374),
    "noise": Request(preset="near-classes", data="label-noise", miners=("random", "knn"), steps=640),
    "hurts": Request(preset="digits-hardest-hurts"),
    "missed": Request(preset="near-classes", miners=("knn", "lsh"), settings=SHORT_HASH, steps=300),
    "digits": Request(preset="digits"),
    "six": Request(preset="lsh-batches"),
    "wide": Request(preset="near-classes", miners=("random", "knn"), settings=WIDE, steps=500),
}
SCENES = (
    Scene("screenshot.png", "near"),
    Scene("label-noise.webp", "noise"),
    Scene("hardest-hurts.webp", "hurts"),
    Scene("missed.webp", "missed", missed),
    Scene("inspector.webp", "digits", inspector, 690),
    Scene("equal-time.webp", "six", equal_time),
    Scene("slow-motion.webp", "digits", slow_motion, 410),
    Scene("class-pairs.webp", "digits", class_pairs, 420),
    Scene("pictures.webp", "digits", pictures, 420, "light"),
    Scene("tsne.webp", "wide", tsne, None, "light"),
)
GALLERY = "gallery.webp"


def main() -> None:
    """Train what is not there, then play it in the window."""
    names = [scene.file.split(".")[0] for scene in SCENES] + ["gallery"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all unless given")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "pictures", help="where the runs are kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs", help="where pictures go")
    asked = parser.parse_args()
    scenes = [scene for scene in SCENES if not asked.names or scene.file.split(".")[0] in asked.names]
    for run in {scene.run for scene in scenes}:
        folder = asked.runs / run
        if not (folder / "run.json").exists():
            print(f"training {run} ...", flush=True)
            for _event in recording.record(Experiment(resolve(RUNS[run])).run(), folder):
                pass
    training = TrainingProcess(())
    training.warm_up()
    app = QApplication(sys.argv[:1])
    app.setStyle("Fusion")
    app.setQuitOnLastWindowClosed(False)
    bugs = BugReporter()
    window = MainWindow(
        resolve(RUNS["near"]),
        bridge=RunBridge(training),
        jobs=(jobs := Jobs(app, bugs)),
        bugs=bugs,
        settings=Settings(None),
        preparation=Preparation(bugs),
        new_folder=lambda _title: Path(tempfile.mkdtemp()),
    )
    window.resize(*SIZE)
    window.show()
    take(all_pictures(window, scenes, asked.runs, asked.out, gallery=not asked.names or "gallery" in asked.names))
    jobs.run_until(window.closed)
    jobs.close()
    training.close()


def all_pictures(window: MainWindow, scenes: list[Scene], runs: Path, out: Path, *, gallery: bool) -> Steps:
    """One after the other, then the window closes."""
    yield 2.0
    if gallery:  # first, when no files were opened before
        window.actions_by_key["gallery"].trigger()
        yield 2.0
        for dialog in window.findChildren(QDialog):
            save(dialog, out / GALLERY)
            dialog.close()
    for scene in scenes:
        if window.look.theme.name != scene.theme:
            window.look.toggle()
        stage = window.stage
        window.actions_by_key["race"].setChecked(False)
        stage.panes.set_slow_motion(False)
        stage.panes.cameras.following = True
        window.docks.reset()
        before = stage.history
        window.files.play(runs / scene.run)
        while stage.history is before or not stage.replaying:  # it is read in the background
            yield 0.1
        stage.timeline.set_playing(False)
        for view in stage.panes.views:
            view.paint_budget_ms = math.inf  # a picture has time
        stage.go_live()
        if scene.step is not None:
            stage.timeline.set_step(scene.step)
            stage.timeline.scrubbed.emit(scene.step)
        yield 3.0
        while not stage.panes.at_rest:
            yield 0.2
        yield from scene.show(window)
        save(window, out / scene.file)
    window.close()


def take(steps: Steps) -> None:
    """Do one part after the other, each so many seconds after the one before."""
    seconds = next(steps, None)
    if seconds is not None:
        QTimer.singleShot(round(1000 * seconds), lambda: take(steps))


def to_front(window: MainWindow, chart: QWidget) -> Steps:
    """Show a chart that is a tab behind another one."""
    dock_of(window, chart).raise_()
    yield 3.0


def dock_of(window: MainWindow, content: QWidget | None) -> QWidget:
    """The dock that holds a view."""
    assert content is not None
    dock = content.parentWidget()
    assert dock is not None and dock is not window
    return dock


def save(widget: QWidget, path: Path) -> None:
    """A picture of a widget, WebP or PNG."""
    if not widget.grab().save(str(path), path.suffix[1:].upper(), QUALITY if path.suffix == ".webp" else -1):
        raise SystemExit(f"{path} cannot be written")
    print(f"{path.name} {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()

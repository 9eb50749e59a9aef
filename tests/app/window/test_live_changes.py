"""Options changed in a window whose lanes train: the real engine on a thread, real clicks and keys."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, Qt

from app.history.markers import Marker, markers
from app.history.pending import pending
from app.history.words import title
from app.window.main_window import MainWindow
from hnm_core.recording import open_recording
from hnm_core.run import changeable
from hnm_core.run.cost import step_cost
from hnm_core.run.events import OptionChanged, RunState, WarmupEnded
from hnm_core.run.history import RunHistory
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs
from tests.app.engine import config
from tests.app.panels.test_experiment_form import pick, type_into
from tests.app.window.test_main_window import press, steps, wait_for

CONTROL = Qt.KeyboardModifier.ControlModifier


def changes(window: MainWindow) -> list[tuple[str, str, str, str]]:
    return [
        (change.lane, change.option, change.before, change.value)
        for change in window.stage.history.changes
        if isinstance(change, OptionChanged) and change.asked
    ]


def apply(qtbot, window: MainWindow, count: int) -> None:
    qtbot.mouseClick(window.form.running_note.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(changes(window)) == count, timeout=5000)


def test_that_another_miner_and_its_options_are_applied_to_the_lane_at_once(training, qtbot):
    window, card = training, training.form.lanes.cards[1]
    note = window.form.running_note
    assert not note.button.isVisible()
    pick(qtbot, card.miner.box, "lsh")
    assert "knn: miner knn → lsh" in note.text.text() and "knn: pool = 5" in note.text.text()
    at = steps(window, "knn")
    apply(qtbot, window, 2)
    assert changes(window) == [("knn", "miner", "knn", "lsh"), ("knn", "miner_options.pool", "", "5")]
    said = window.statusBar().currentMessage()
    assert said == f"knn: miner knn → lsh; knn: pool = 5, from step {at + 1:,} on"
    assert not note.button.isVisible(), "the run is as the form says"
    assert markers(window.stage.history)[-2] == Marker("knn", at + 1, "miner knn → lsh", "option")
    qtbot.waitUntil(lambda: window.stage.panes.view("knn")._title == "knn → lsh", timeout=5000)
    track = window.stage.timeline.track
    qtbot.waitUntil(lambda: any(kind == "option" and "miner knn → lsh" in text for _, text, kind in track.marks))
    press(qtbot, window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: steps(window, "knn") == at + 1, timeout=5000)


def test_that_the_learning_rate_goes_to_all_lanes_and_by_the_keyboard(training, qtbot):
    window = training
    window.form.training.open()
    type_into(qtbot, window.form.optimizer.line("lr"), "0.01")
    assert "all lanes: learning rate 0.002 → 0.01" in window.form.running_note.text.text()
    press(qtbot, window, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: len(changes(window)) == 2, timeout=5000)
    assert [(lane, option) for lane, option, *_ in changes(window)] == [
        ("random", "optimizer.lr"),
        ("knn", "optimizer.lr"),
    ]
    told = open_recording(window.stage.folder).lane_configs
    assert {name: of.optimizer.lr for name, of in told.items()} == {"random": 0.01, "knn": 0.01}


def test_that_news_of_the_run_does_not_take_over_what_is_being_typed(training, qtbot):
    window = training
    window.form.training.open()
    type_into(qtbot, window.form.optimizer.line("lr"), "0.01", enter=False)
    window.run.show_pending()
    assert window.form.committed.optimizer.lr == 2e-3
    assert not window.form.running_note.button.isVisible()
    press(qtbot, window, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: len(changes(window)) == 2, timeout=5000)


def test_that_undo_takes_the_form_back_and_applying_takes_the_run_back(training, qtbot):
    window, card = training, training.form.lanes.cards[1]
    card.details.open()
    type_into(qtbot, card.own.line("hard_share"), "0.75")
    apply(qtbot, window, 1)
    press(qtbot, window, Qt.Key.Key_Z, CONTROL)
    assert window.form.config().lanes[1].hard_share == 0.5
    assert "knn: hard share 0.75 → 0.5" in window.form.running_note.text.text(), "the run itself is as it was applied"
    assert len(changes(window)) == 1
    apply(qtbot, window, 2)
    assert changes(window)[-1] == ("knn", "hard_share", "0.75", "0.5")


def test_that_what_has_to_wait_is_said_and_not_applied(training, qtbot):
    window, card = training, training.form.lanes.cards[1]
    note = window.form.running_note
    window.form.training.open()
    type_into(qtbot, window.form.run.line("seed"), "7")
    card.details.open()
    pick(qtbot, card.own.editor("distance").box, "cosine")
    assert not note.button.isVisible()
    assert note.later.text() == "At the next start: seed, distance of knn."
    press(qtbot, window, Qt.Key.Key_Return, CONTROL)
    qtbot.wait(200)
    assert changes(window) == []


def test_that_what_does_not_go_together_is_said_beside_the_button_and_leaves_the_run(training, qtbot):
    window, card = training, training.form.lanes.cards[1]
    window.form.lanes.cards[1].loss.choice.set_value("circle")
    card.loss.choice.committed.emit()
    note = window.form.running_note
    assert "cosine" in note.problem.text() and not note.button.isEnabled()
    press(qtbot, window, Qt.Key.Key_Return, CONTROL)
    assert "cosine" in window.banner.text
    qtbot.wait(100)
    assert changes(window) == [] and window.bridge.active
    press(qtbot, window, Qt.Key.Key_Z, CONTROL)
    press(qtbot, window, Qt.Key.Key_Return, CONTROL)
    assert window.banner.text == "", "it is mended"


def at_rest(qtbot, place):
    """Where it is once it stays there."""
    before = None
    while before != (before := place()):
        qtbot.wait(100)
    return before


def test_that_no_field_moves_as_the_note_grows(training, qtbot):
    window = training
    line = window.form.optimizer.line("lr")
    window.form.training.open()
    before = at_rest(qtbot, lambda: line.mapTo(window, QPoint(0, 0)))
    type_into(qtbot, line, "0.01")
    qtbot.waitUntil(window.form.running_note.button.isVisible, timeout=2000)
    assert at_rest(qtbot, lambda: line.mapTo(window, QPoint(0, 0))) == before


def test_that_a_refusal_of_the_engine_is_shown(training, qtbot):
    training.bridge.change({"knn": {"distance": "cosine"}})
    qtbot.waitUntil(lambda: "cannot be changed while" in training.banner.text, timeout=5000)


def test_that_after_the_run_there_is_nothing_to_apply(training, qtbot):
    window = training
    pick(qtbot, window.form.lanes.cards[1].miner.box, "lsh")
    assert window.form.running_note.button.isVisible()
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    assert not window.form.running_note.isVisible()
    press(qtbot, window, Qt.Key.Key_Return, CONTROL)
    assert "No run is on" in window.statusBar().currentMessage()


def history_of(of: ExperimentConfig) -> RunHistory:
    history = RunHistory()
    history.add(runs.started(of))
    return history


def test_that_only_running_lanes_are_offered_and_names_that_are_new_or_gone_wait():
    form = config(
        lanes=[{"name": "random", "miner": "random", "hard_share": 1}, {"name": "new", "miner": "knn"}],
        optimizer={"name": "sgd", "lr": 2e-3, "options": {"momentum": 0.9}},
    )
    lanes = history_of(config()).lane_configs()
    found = pending(form, config(), lanes, ["random", "knn"])
    assert found.changes == {"random": {"hard_share": 1}}
    assert found.later == ("optimiser", "lane new", "no lane knn")
    ended = pending(form, config(), lanes, ["knn"])
    assert ended.changes == {} and "hard share of random" in ended.later


def test_that_a_history_knows_what_lanes_are_and_are_called_at_any_step():
    history = history_of(config())
    history.add(WarmupEnded("knn", 4, "knn"))
    history.add(OptionChanged("knn", 9, "miner", "lsh", "knn", asked=True))
    history.add(OptionChanged("knn", 20, "miner", "knn", "lsh", asked=True))
    assert [title(history, "knn", step) for step in (8, 9, 19, 20, None)] == [
        "knn",
        "knn → lsh",
        "knn → lsh",
        "knn",
        "knn",
    ]
    assert history.lane_configs(10)["knn"].lanes[0].miner == "lsh"
    assert changeable.settings(history.lane_configs()["random"]) == changeable.settings(
        changeable.alone(config(), "random")
    )


def test_that_times_are_those_of_the_miner_at_work():
    history = history_of(config())
    lane = history.lanes["knn"]
    for step in range(1, 21):
        if step == 11:
            history.add(OptionChanged("knn", 11, "miner", "lsh", "knn", asked=True))
        history.add(runs.record("knn", step))
    assert step_cost(lane).steps == 10
    assert step_cost(lane, upto_step=10).steps == 10
    assert step_cost(lane, upto_step=12).steps == 2

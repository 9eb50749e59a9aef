"""The form, with real keys and clicks."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QApplication, QFileDialog, QWidget

from app.history.pending import Pending
from app.panels import names
from app.panels.editor_for import bounds_of, editor_for
from app.panels.editors import Bounds
from app.panels.experiment_form import ExperimentForm
from app.panels.field_text import read_table, write_table
from app.panels.lanes_panel import free_name
from app.panels.names import grouped
from app.panels.option_form import OptionForm
from app.panels.problems import find_problems
from app.panels.tab_order import in_reading_order
from app.picture.theme import DARK, LIGHT
from app.style import palette
from hnm_core.spec import config as configuration
from hnm_core.spec.compatibility import check, idle_fields, impossible
from hnm_core.spec.config import ExperimentConfig, from_dict
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, SAMPLERS
from hnm_core.spec.resources import preset_names, preset_path

LEFT = Qt.MouseButton.LeftButton


def experiment(**values: object) -> ExperimentConfig:
    lanes = [{"name": "random"}, {"name": "knn", "miner": "knn", "miner_options": {"pool": 5}}]
    return from_dict({"data": {"name": "blobs"}, "lanes": lanes, **values})


@pytest.fixture
def form(qtbot):
    form = ExperimentForm()
    qtbot.addWidget(form)
    form.set_config(experiment())
    form.resize(320, 700)
    with qtbot.waitActive(form):
        form.show()
        form.activateWindow()
    form.heard = []
    form.config_changed.connect(form.heard.append)
    return form


def type_into(qtbot, line, text, *, enter=True):
    line.window().activateWindow()
    (line.focusProxy() or line).setFocus()
    line.selectAll()
    qtbot.keyClicks(QApplication.focusWidget(), text)
    if enter:
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)


def pick(qtbot, box, text):
    """Choose an entry of a combo box by the keyboard."""
    box.window().activateWindow()
    box.setFocus()
    while box.currentText() != text:
        before = box.currentIndex()
        qtbot.keyClick(box, Qt.Key.Key_Down if box.findText(text) > before else Qt.Key.Key_Up)
        assert box.currentIndex() != before


@pytest.mark.parametrize("name", preset_names())
def test_that_showing_a_preset_changes_nothing_in_it(qtbot, name):
    form = ExperimentForm()
    qtbot.addWidget(form)
    config = configuration.load(preset_path(name))
    form.config_changed.connect(lambda _: pytest.fail("nothing was changed"))
    form.set_config(config)
    assert form.config() is config
    assert from_dict(form._values()) == config
    assert form.problem.text() == ""


@pytest.mark.parametrize("registry", [MINERS, LOSSES, DATASETS, MODELS, SAMPLERS], ids=lambda registry: registry.kind)
def test_that_every_registered_name_gets_a_form_whose_untouched_values_are_its_defaults(qtbot, registry):
    for name in registry.names():
        options = registry.entry(name).options
        form = OptionForm(options)
        qtbot.addWidget(form)
        assert list(form.rows) == list(options.model_fields)
        assert form.values() == {}
        required = [key for key, field in options.model_fields.items() if field.is_required()]
        shown = {key: row.editor.value() for key, row in form.rows.items() if key not in required}
        if not required:
            assert options.model_validate(shown) == options()


def test_that_a_typed_learning_rate_is_taken_over_once_and_keeps_its_digits(form, qtbot):
    form.training.open()
    type_into(qtbot, form.optimizer.line("lr"), "1e-3")
    assert [config.optimizer.lr for config in form.heard] == [0.001]
    assert form.optimizer.line("lr").text() == "1e-3"
    type_into(qtbot, form.optimizer.line("lr"), "0.00012345")
    assert form.config().optimizer.lr == 0.00012345
    assert len(form.heard) == 2


def test_that_typing_the_same_value_in_other_words_changes_nothing(form, qtbot):
    form.training.open()
    type_into(qtbot, form.optimizer.line("lr"), "2e-3")
    type_into(qtbot, form.run.line("steps"), "1,000")
    assert form.heard == []


def test_that_what_is_not_allowed_is_said_beside_the_field_and_the_last_valid_experiment_is_kept(form, qtbot):
    form.training.open()
    before = form.config()
    row = form.optimizer.rows["lr"]
    type_into(qtbot, form.optimizer.line("lr"), "0")
    assert row.problem.isVisible()
    assert "must be above 0" in row.problem.text()
    assert form.config() is before
    type_into(qtbot, form.optimizer.line("lr"), "fast")
    assert "'fast' is not allowed" in row.problem.text()
    type_into(qtbot, form.optimizer.line("lr"), "0.5")
    assert not row.problem.isVisible()
    assert form.config().optimizer.lr == 0.5
    assert [config.optimizer.lr for config in form.heard] == [0.5]


def test_that_an_error_shows_while_typing_and_before_enter(form, qtbot):
    form.training.open()
    type_into(qtbot, form.run.line("threads"), "0", enter=False)
    assert "at least 1" in form.run.rows["threads"].problem.text()
    assert form.heard == []


def test_that_text_not_yet_confirmed_counts_when_the_experiment_is_asked_for(form, qtbot):
    form.training.open()
    type_into(qtbot, form.run.line("steps"), "321", enter=False)
    assert form.heard == []
    assert form.config().steps == 321
    assert len(form.heard) == 1


def test_that_leaving_a_field_confirms_it(form, qtbot):
    form.training.open()
    type_into(qtbot, form.run.line("steps"), "77", enter=False)
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert form.heard[-1].steps == 77


def test_that_the_largest_seed_can_be_typed_and_one_more_is_refused_in_words(form, qtbot):
    form.training.open()
    type_into(qtbot, form.run.line("seed"), str(2**63 - 1))
    assert form.config().seed == 2**63 - 1
    type_into(qtbot, form.run.line("seed"), str(2**63))
    assert "must be below 9223372036854775808" in form.run.rows["seed"].problem.text()
    assert form.config().seed == 2**63 - 1


def test_that_arrow_keys_step_numbers_within_their_range(form, qtbot):
    form.training.open()
    spin = form.run.editor("threads").spin
    spin.setFocus()
    for key, expected in ((Qt.Key.Key_Up, 2), (Qt.Key.Key_Down, 1), (Qt.Key.Key_Down, 1)):
        qtbot.keyClick(spin, key)
        assert form.config().threads == expected


def test_that_arrows_move_a_small_number_by_its_leading_digit(form, qtbot):
    form.training.open()
    line = form.optimizer.line("lr")
    (line.focusProxy() or line).setFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Up)
    assert form.config().optimizer.lr == 0.003
    for _ in range(3):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down)
    assert form.config().optimizer.lr == 0.0009
    assert line.text() == "0.0009"


def test_that_widths_are_a_list_of_whole_numbers(form, qtbot):
    form.model_details.open()
    line = form.model.form.line("widths")
    assert line.text() == "100, 50, 25, 10"
    type_into(qtbot, line, "64 32")
    assert form.config().model.options == {"widths": [64, 32]}
    type_into(qtbot, line, "64, many")
    assert "'many' is not allowed" in form.model.form.rows["widths"].problem.text()
    assert form.config().model.options == {"widths": [64, 32]}
    type_into(qtbot, line, "100, 50, 25, 10")
    assert form.config().model.options == {}


def test_that_stages_of_a_hashing_margin_are_a_list_of_numbers(form, qtbot):
    hashing = {"name": "a", "miner": "batch-hard", "loss": "dtsh", "distance": "inner-product"}
    form.set_config(experiment(lanes=[hashing], model={"name": "mlp", "options": {"embedding": 32}}))
    card = form.lanes.cards[0]
    line = card.loss.form.line("alpha_stages")
    assert line.text() == ""
    type_into(qtbot, line, "1, 2.5 4")
    assert form.config().lanes[0].loss_options == {"alpha_stages": [1.0, 2.5, 4.0]}
    type_into(qtbot, card.loss.form.line("stage_starts"), "10, 20")
    assert form.config().lanes[0].loss_options == {"alpha_stages": [1.0, 2.5, 4.0], "stage_starts": [10, 20]}
    type_into(qtbot, line, "1, 0, 4")
    assert "0.0 is not allowed: it must be above 0" in card.loss.form.rows["alpha_stages"].problem.text()


def test_that_options_of_the_optimiser_are_checked_against_the_optimiser(form, qtbot):
    form.training.open()
    type_into(qtbot, form.optimizer.line("options"), "momentum = 0.9")
    assert "adam has no option 'momentum'" in form.optimizer.rows["options"].problem.text()
    pick(qtbot, form.optimizer.editor("name").box, "sgd")
    assert form.config().optimizer.options == {"momentum": 0.9}
    assert form.config().optimizer.name == "sgd"


def test_that_another_data_set_brings_its_own_options_and_the_old_ones_come_back(form, qtbot):
    form.data_details.open()
    type_into(qtbot, form.data.form.line("classes"), "4")
    pick(qtbot, form.data.box, "digits")
    assert form.config().data.options == {}
    pick(qtbot, form.data.box, "blobs")
    assert form.config().data.options == {"classes": 4}


def test_that_the_split_is_chosen_and_says_what_the_share_is_of(form, qtbot):
    split = form.data_own.rows["split"]
    assert split.label.text() == "split by" and split.editor.target.accessibleName() == "split by"
    share = form.data_own.rows["held_out"].editor
    pick(qtbot, split.editor.target, "classes")
    assert form.config().data.split == "classes" and share.isEnabled()
    assert form.data_details.summary.text().endswith("held out 25% of the classes")
    pick(qtbot, split.editor.target, "official")
    assert not share.isEnabled() and "official test part" in share.toolTip()
    assert [finding.rule for finding in check(form.config())][:1] == ["C39"], "digits have none"
    pick(qtbot, form.data.choice.target, "fashion-mnist")
    assert form.config().data.split == "official" and not check(form.config())
    assert form.data_details.summary.text() == "official split"


def test_that_lanes_can_be_given_seconds_instead_of_steps(form, qtbot):
    form.training.open()
    editor = form.run.editor("seconds")
    assert form.config().seconds is None and " s or " not in form.training.summary.text()
    editor.check.setFocus()
    qtbot.keyClick(editor.check, Qt.Key.Key_Space)
    type_into(qtbot, editor.inner.line, "2.5")
    assert form.config().seconds == 2.5
    assert f"2.5 s or {form.config().steps} steps" in form.training.summary.text()
    qtbot.keyClick(editor.check, Qt.Key.Key_Space)
    assert form.config().seconds is None


def test_that_a_data_set_that_needs_a_file_opens_its_options_and_says_so_until_one_is_chosen(form, qtbot, monkeypatch):
    before = form.config()
    pick(qtbot, form.data.box, "file")
    assert form.data_details.body.isVisible()
    assert "Needed" in form.data.form.rows["path"].problem.text()
    assert form.config() is before or form.config().data.name != "file"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/data/mine.npz", ""))
    qtbot.mouseClick(form.data.form.editor("path").browse, LEFT)
    assert form.config().data.name == "file"
    assert form.config().data.options == {"path": "/data/mine.npz"}


def test_that_a_browse_that_is_called_off_changes_nothing(form, qtbot, monkeypatch):
    pick(qtbot, form.data.box, "file")
    heard = len(form.heard)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    qtbot.mouseClick(form.data.form.editor("path").browse, LEFT)
    assert len(form.heard) == heard


def test_that_an_optional_number_is_switched_on_and_off(form, qtbot):
    card = form.lanes.cards[1]
    card.details.open()
    editor = card.own.editor("warmup_below")
    assert form.config().lanes[1].warmup_below is None
    assert not editor.inner.isEnabled()
    editor.check.setFocus()
    qtbot.keyClick(editor.check, Qt.Key.Key_Space)
    assert form.config().lanes[1].warmup_below == 1
    type_into(qtbot, editor.inner.line, "0.25")
    assert form.config().lanes[1].warmup_below == 0.25
    qtbot.keyClick(editor.check, Qt.Key.Key_Space)
    assert form.config().lanes[1].warmup_below is None


def test_that_auto_is_a_check_box_beside_the_number(form, qtbot):
    card = form.lanes.cards[1]
    pick(qtbot, card.miner.box, "lsh")
    card.details.open()
    editor = card.miner.form.editor("rescore")
    assert editor.value() == "auto"
    editor.check.setFocus()
    qtbot.keyClick(editor.check, Qt.Key.Key_Space)
    type_into(qtbot, editor.inner.line, "40")
    assert form.config().lanes[1].miner_options == {"pool": 5, "rescore": 40}


def test_that_another_miner_keeps_the_options_both_have_and_renames_a_lane_called_after_it(form, qtbot):
    card = form.lanes.cards[1]
    pick(qtbot, card.miner.box, "lsh")
    lane = form.config().lanes[1]
    assert (lane.name, lane.miner, lane.miner_options) == ("lsh", "lsh", {"pool": 5})
    assert len(form.heard) == 1


def test_that_a_lane_with_a_name_of_its_own_keeps_it(form, qtbot):
    card = form.lanes.cards[1]
    type_into(qtbot, card.name, "my method")
    pick(qtbot, card.miner.box, "lsh")
    assert form.config().lanes[1].name == "my method"


def test_that_two_lanes_of_one_name_are_refused_beside_the_name(form, qtbot):
    card = form.lanes.cards[1]
    type_into(qtbot, card.name, "random")
    assert "Another lane is called 'random'" in card.name_problem.text()
    assert [lane.name for lane in form.config().lanes] == ["random", "knn"]
    type_into(qtbot, card.name, "?")
    assert "begins with a letter or digit" in card.name_problem.text()


def test_that_lanes_are_added_moved_duplicated_and_removed_by_clicks(form, qtbot):
    def names():
        return [lane.name for lane in form.config().lanes]

    qtbot.mouseClick(form.lanes.add_button, LEFT)
    assert names() == ["random", "knn", "knn-2"]
    assert form.config().lanes[2].miner_options == {"pool": 5}
    qtbot.mouseClick(form.lanes.cards[2].buttons["up"], LEFT)
    qtbot.mouseClick(form.lanes.cards[1].buttons["up"], LEFT)
    assert names() == ["knn-2", "random", "knn"]
    qtbot.mouseClick(form.lanes.cards[1].buttons["copy"], LEFT)
    assert names() == ["knn-2", "random", "random-2", "knn"]
    qtbot.mouseClick(form.lanes.cards[0].buttons["remove"], LEFT)
    assert names() == ["random", "random-2", "knn"]
    qtbot.mouseClick(form.lanes.cards[0].buttons["down"], LEFT)
    assert names() == ["random-2", "random", "knn"]
    assert len(form.heard) == 6


def test_that_a_seventh_lane_is_refused_with_the_reason(form, qtbot):
    for _ in range(4):
        qtbot.mouseClick(form.lanes.add_button, LEFT)
    assert len(form.config().lanes) == 6
    assert not form.lanes.add_button.isEnabled()
    assert "at most 6 lanes" in form.lanes.full.text()
    assert form.lanes.full.isVisible()
    assert not form.lanes.cards[0].buttons["copy"].isEnabled()
    qtbot.mouseClick(form.lanes.add_button, LEFT)
    assert len(form.config().lanes) == 6


def test_that_the_last_lane_cannot_be_removed(form, qtbot):
    qtbot.mouseClick(form.lanes.cards[0].buttons["remove"], LEFT)
    button = form.lanes.cards[0].buttons["remove"]
    assert not button.isEnabled()
    assert "at least one lane" in button.toolTip()


def test_that_lanes_take_their_colours_by_place(form):
    before = QApplication.palette()
    try:
        for theme in (DARK, LIGHT, DARK):
            QApplication.setPalette(palette(theme))
            QApplication.processEvents()
            assert [card.swatch.colour for card in form.lanes.cards] == list(theme.lanes[:2])
    finally:
        QApplication.setPalette(before)


def test_that_undo_and_redo_go_through_changes_with_the_keyboard(form, qtbot):
    first = form.config()
    form.training.open()
    type_into(qtbot, form.run.line("steps"), "50")
    type_into(qtbot, form.run.line("steps"), "60")
    qtbot.mouseClick(form.lanes.add_button, LEFT)
    widget = QApplication.focusWidget()
    for expected in ((60, 2), (50, 2), (1000, 2)):
        qtbot.keyClick(widget, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        widget = QApplication.focusWidget() or form
        config = form.heard[-1]
        assert (config.steps, len(config.lanes)) == expected
        assert form.config() is config
    assert form.config() == first
    assert not form.undo_button.isEnabled()
    assert form.run.line("steps").text() == "1000"
    qtbot.mouseClick(form.redo_button, LEFT)
    assert form.config().steps == 50


def test_that_undo_in_a_field_with_unconfirmed_text_takes_the_typing_back_first(form, qtbot):
    form.training.open()
    line = form.run.line("steps")
    type_into(qtbot, line, "50")
    type_into(qtbot, line, "5x", enter=False)
    widget = QApplication.focusWidget()
    while line.pending:
        before = line.text()
        qtbot.keyClick(widget, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert line.text() != before
    assert form.config().steps == 50
    qtbot.keyClick(widget, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert form.config().steps == 1000


def test_that_a_change_after_an_undo_forgets_what_was_undone(form, qtbot):
    form.training.open()
    type_into(qtbot, form.run.line("steps"), "50")
    form.undo()
    type_into(qtbot, form.run.line("steps"), "70")
    assert not form.redo_button.isEnabled()
    form.undo()
    assert form.config().steps == 1000


def test_that_a_new_experiment_has_no_past(form, qtbot):
    form.training.open()
    type_into(qtbot, form.run.line("steps"), "50")
    form.set_config(experiment(steps=9))
    assert not form.undo_button.isEnabled()
    form.undo()
    assert form.config().steps == 9


def test_that_what_has_no_field_survives_an_edit(qtbot, form):
    form.set_config(experiment(title="Mine", about="Look at this."))
    form.training.open()
    type_into(qtbot, form.run.line("steps"), "50")
    assert form.config() == experiment(title="Mine", about="Look at this.", steps=50)


def test_that_a_run_says_what_can_be_applied_and_what_waits(form, qtbot):
    note = form.running_note
    assert not note.isVisible()
    form.set_running(True)
    assert note.isVisible() and not note.button.isVisible() and not note.later.isVisible()
    assert "next start" in note.text.text()
    form.show_pending(Pending({"knn": {"lr": 1.0}}, ("knn: learning rate 0.002 → 1",), ("seed", "data")))
    assert "knn: learning rate 0.002 → 1" in note.text.text()
    assert note.later.text() == "At the next start: seed, data."
    with qtbot.waitSignal(form.apply_asked):
        qtbot.mouseClick(note.button, LEFT)
    form.show_pending(Pending({"knn": {"lr": 1.0}}, ("knn: loss",), problem="Not this one."))
    assert note.problem.isVisible() and not note.button.isEnabled()
    form.set_running(False)
    assert not note.isVisible()


def test_that_the_lanes_of_a_run_keep_their_names_also_with_another_miner(form, qtbot):
    form.set_config(experiment(lanes=[{"name": "knn", "miner": "knn"}]))
    form.set_running(True)
    pick(qtbot, form.lanes.cards[0].miner.box, "lsh")
    assert (form.config().lanes[0].name, form.config().lanes[0].miner) == ("knn", "lsh")
    form.set_running(False)
    form.undo()
    pick(qtbot, form.lanes.cards[0].miner.box, "lsh")
    assert form.config().lanes[0].name == "lsh", "without a run it is called after its miner"


def test_that_everything_open_fits_320_pixels_without_a_horizontal_scroll_bar(form, qtbot):
    pick(qtbot, form.data.box, "near-classes")
    pick(qtbot, form.lanes.cards[1].miner.box, "lsh")
    for part in (form.data_details, form.model_details, form.training, *(card.details for card in form.lanes.cards)):
        part.open()
    form.resize(320, 700)
    QApplication.processEvents()
    content = form.scroll_area.widget()
    assert content.minimumSizeHint().width() <= form.scroll_area.viewport().width()
    for widget in content.findChildren(QWidget):
        if widget.isVisibleTo(content):
            assert widget.mapTo(content, widget.rect().topRight()).x() <= content.width(), widget


def test_that_tab_goes_down_the_form_through_every_field(form, qtbot):
    qtbot.mouseClick(form.lanes.cards[0].buttons["copy"], LEFT)
    pick(qtbot, form.lanes.cards[0].miner.box, "lsh")
    for part in (form.data_details, form.model_details, form.training, *(card.details for card in form.lanes.cards)):
        part.open()
    QApplication.processEvents()
    expected = [
        widget for widget in in_reading_order(form.scroll_area.widget()) if widget.isVisible() and widget.isEnabled()
    ]
    expected[0].setFocus()
    seen = [QApplication.focusWidget()]
    for _ in expected[1:]:
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        seen.append(QApplication.focusWidget())
    assert seen == expected
    # every editor that can be used is among them
    for part in (form.run, form.optimizer, *(card.own for card in form.lanes.cards)):
        for row in part.rows.values():
            assert not row.editor.isEnabled() or any(row.editor.isAncestorOf(widget) for widget in expected), row.name


def test_that_opening_a_part_is_a_press_of_space(form, qtbot):
    form.training.button.setFocus()
    qtbot.keyClick(form.training.button, Qt.Key.Key_Space)
    assert form.training.body.isVisible()
    assert not form.training.summary.isVisible()


def test_that_the_wheel_scrolls_the_form_and_not_the_values_in_it(form, qtbot):
    from PyQt6.QtCore import QPoint, QPointF
    from PyQt6.QtGui import QWheelEvent

    form.training.open()
    before = form.config()
    for widget in (form.data.box, form.run.editor("steps").spin):
        event = QWheelEvent(
            QPointF(5, 5),
            QPointF(widget.mapToGlobal(QPoint(5, 5))),
            QPoint(),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, event)
    assert form.config() is before


def test_that_help_and_range_are_in_the_tool_tip(form):
    tip = form.optimizer.rows["lr"].label.toolTip()
    assert "learning rate" in tip
    assert "above 0, at most 100" in tip
    assert "Default: 0.002" in tip


def test_that_problems_of_several_fields_are_found_together():
    values = experiment().model_dump()
    values["optimizer"]["lr"] = -1
    values["data"]["options"] = {"classes": 1}
    values["lanes"][1]["miner_options"] = {"pool": 0}
    values["lanes"][0]["hard_share"] = 2
    assert set(find_problems(values)) == {
        ("optimizer", "lr"),
        ("data", "options", "classes"),
        ("lanes", 1, "miner_options", "pool"),
        ("lanes", 0, "hard_share"),
    }
    assert find_problems(experiment().model_dump()) == {}


class Everything(BaseModel):
    """One field of each kind that a plug-in may declare."""

    flag: bool = True
    whole: int = Field(3, ge=1, le=9, json_schema_extra={"unit": "ms"})
    real: float = Field(0.5, gt=0, lt=1)
    word: str = "a"
    choice: Literal["x", "y"] = "x"
    maybe: float | None = Field(None, gt=0)
    auto: int | Literal["auto"] = "auto"
    many: tuple[int, ...] = (1, 2)
    table: dict[str, float] = Field(default_factory=lambda: {"a": 0.5})
    odd: list[str] = Field(default_factory=lambda: ["p"])


def test_that_a_plug_in_field_of_any_kind_gets_an_editor_that_reads_back_what_it_shows(qtbot):
    form = OptionForm(Everything)
    qtbot.addWidget(form)
    values = {
        "flag": False,
        "whole": 4,
        "real": 1e-7,
        "word": "b c",
        "choice": "y",
        "maybe": 0.1,
        "auto": 7,
        "many": [3],
        "table": {"b": 1.5},
        "odd": ["q", "r"],
    }
    form.set_values(values)
    assert {name: row.editor.value() for name, row in form.rows.items()} == values
    assert form.values() == values
    form.set_values({})
    assert Everything.model_validate({name: row.editor.value() for name, row in form.rows.items()}) == Everything()
    assert form.rows["whole"].unit.text() == "ms"


def test_that_bounds_are_read_from_the_schema():
    fields = Everything.model_fields
    assert bounds_of(fields["whole"]) == Bounds(1, 9)
    assert bounds_of(fields["real"]) == Bounds(0, 1, True, True)
    assert bounds_of(fields["maybe"]) == Bounds(0, None, True, False)
    assert str(Bounds(0, 1, True, False)) == "above 0, at most 1"


def test_that_a_number_without_a_range_can_be_stepped_through_zero(qtbot):
    class Free(BaseModel):
        value: float = 0.01

    editor = editor_for("value", Free.model_fields["value"])
    qtbot.addWidget(editor)
    editor.set_value(0.02)
    seen = []
    for _ in range(4):
        editor.spin.stepBy(-1)
        seen.append(editor.value())
    assert np.allclose(seen, [0.01, 0.009, 0.008, 0.007])


@pytest.mark.parametrize(
    ("registry", "part", "name", "folder"),
    [
        (DATASETS, "file", "path", False),
        (DATASETS, "file", "labels", False),
        (DATASETS, "images", "path", True),
        (MODELS, "resnet18", "weights", False),
    ],
)
def test_that_every_file_and_folder_can_be_looked_for(qtbot, monkeypatch, registry, part, name, folder):
    editor = editor_for(name, registry.entry(part).options.model_fields[name])
    qtbot.addWidget(editor)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("chosen file", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "chosen folder")
    with qtbot.waitSignal(editor.committed):
        qtbot.mouseClick(editor.browse, Qt.MouseButton.LeftButton)
    assert editor.value() == ("chosen folder" if folder else "chosen file")


def test_that_tables_are_written_as_they_are_read():
    assert read_table(write_table({"weight_decay": 0.01, "beta1": 0.9})) == {"weight_decay": 0.01, "beta1": 0.9}
    assert read_table("momentum") == "momentum"


def test_that_a_free_name_is_found():
    assert free_name("knn", []) == "knn"
    assert free_name("knn", ["knn"]) == "knn-2"
    assert free_name("knn-2", ["knn", "knn-2"]) == "knn-3"
    assert len(free_name("x" * 40, ["x" * 40])) <= 40


def test_that_the_form_is_made_without_torch():
    code = (
        "import sys; from PyQt6.QtWidgets import QApplication; app = QApplication([]);"
        "from app.panels.experiment_form import ExperimentForm; form = ExperimentForm();"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_that_names_are_grouped_ours_first_and_the_librarys_only_where_it_is_installed():
    groups = grouped(MINERS, library=True)
    assert [group.title for group in groups] == ["Of the whole set", "Inside the batch", "pytorch-metric-learning"]
    assert all(MINERS.entry(name).scope == "dataset" for name in groups[0].names)
    assert all(MINERS.entry(name).scope == "batch" for name in groups[1].names)
    assert all(name[0].isupper() for name in groups[2].names)
    assert sum((group.names for group in groups), ()) == tuple(MINERS.names())
    assert [group.title for group in grouped(LOSSES, library=False)] == ["Built in"]
    assert [group.title for group in grouped(SAMPLERS, library=False)] == ["Built in"]


def test_that_a_class_of_a_library_that_is_missing_is_still_shown_where_a_file_names_it(qtbot, monkeypatch):
    monkeypatch.setattr(names, "library_installed", lambda: False)
    form = ExperimentForm()
    qtbot.addWidget(form)
    assert form.lanes.cards[0].loss.box.findText("TripletMarginLoss") < 0
    form.set_config(experiment(lanes=[{"name": "a", "loss": "TripletMarginLoss"}]))
    assert form.lanes.cards[0].loss.box.currentText() == "TripletMarginLoss"
    assert form.config().lanes[0].loss == "TripletMarginLoss"


def test_that_headings_cannot_be_chosen_with_the_keyboard(form, qtbot):
    box = form.lanes.cards[0].miner.box
    pick(qtbot, box, "routed")
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert form.config().lanes[0].miner == "none"


def test_that_what_cannot_be_is_greyed_out_with_the_reason_before_anybody_chooses(form):
    card = form.lanes.cards[1]
    card.loss.box.show_reasons()
    reasons = impossible("loss", form.config(), "knn")
    assert "circle" in reasons
    for name in grouped(LOSSES)[0].names:
        assert card.loss.box.is_enabled(name) == (name not in reasons)
    tip = card.loss.box.itemData(card.loss.box.findText("circle"), Qt.ItemDataRole.ToolTipRole)
    assert tip == reasons["circle"]
    assert card.loss.box.is_enabled("triplet-margin")


def test_that_what_is_refused_stands_beside_its_lane_and_one_click_mends_it(form, qtbot):
    circle = {"name": "circle", "loss": "circle", "miner": "knn"}
    form.set_config(experiment(lanes=[{"name": "random"}, circle]))
    plain, odd = form.lanes.cards
    assert plain.findings.shown == ()
    assert [finding.rule for finding in odd.findings.shown] == ["C6"]
    assert not odd.findings.isHidden()
    before = form.config()
    qtbot.mouseClick(odd.findings.buttons[0], LEFT)
    assert form.config().lanes[1].distance == "cosine"
    assert check(form.config()) == []
    assert odd.findings.isHidden()
    assert form.heard == [form.config()]
    form.undo()
    assert form.config() == before


def test_that_a_remedy_for_all_lanes_is_applied_too(form, qtbot):
    sampler = {"name": "balanced", "options": {"classes": 8, "per_class": 1}}
    form.set_config(experiment(sampler=sampler, lanes=[{"name": "a", "miner": "batch-hard"}]))
    assert [finding.rule for finding in form.findings.shown] == ["C17"]
    qtbot.mouseClick(form.findings.buttons[0], LEFT)
    assert form.config().sampler.options == {"classes": 8, "per_class": 4}
    assert form.findings.isHidden()


def test_that_another_sampler_settles_the_batch_and_the_old_batch_comes_back(form, qtbot):
    form.set_config(experiment(sampler={"name": "random", "batch": 128}))
    form.training.open()
    pick(qtbot, form.sampler.named.box, "balanced")
    assert form.config().sampler.batch == 32
    assert form.sampler.own.isHidden()
    assert form.sampler.settled.text() == "32 anchors a step"
    type_into(qtbot, form.sampler.named.form.line("per_class"), "6")
    assert form.config().sampler.batch == 48
    pick(qtbot, form.sampler.named.box, "random")
    assert form.config().sampler.batch == 128


def test_that_a_lane_can_draw_its_own_anchors_and_give_that_up_again(form, qtbot):
    card = form.lanes.cards[1]
    card.details.open()
    qtbot.mouseClick(card.own_sampler, LEFT, pos=QPoint(8, card.own_sampler.height() // 2))
    assert form.config().lanes[1].sampler is not None
    pick(qtbot, card.sampler.named.box, "neighbours")
    type_into(qtbot, card.sampler.named.form.line("search"), "lsh-scan")
    type_into(qtbot, card.sampler.named.form.line("search_options"), "bits = 32, rescore = 0")
    assert form.config().lanes[1].sampler.options == {
        "search": "lsh-scan",
        "search_options": {"bits": 32, "rescore": 0},
    }
    type_into(qtbot, card.sampler.named.form.line("search_options"), "bit = 32")
    assert "'bit'" in card.sampler.named.problem.text()
    type_into(qtbot, card.sampler.named.form.line("search_options"), "bits = ")
    assert "search_options" in form.lanes.cards[1].sampler.named.form.rows
    assert card.sampler.named.form.rows["search_options"].problem.text()
    qtbot.mouseClick(card.own_sampler, LEFT, pos=QPoint(8, card.own_sampler.height() // 2))
    assert form.config().lanes[1].sampler is None


@pytest.mark.parametrize("miner", ["knn", "batch-hard"])
@pytest.mark.parametrize("refresh", ["steps", "epoch", "drift", "background"])
def test_that_fields_that_do_not_matter_are_greyed_out_with_the_reason(form, miner: str, refresh: str):
    form.set_config(experiment(lanes=[{"name": "one", "miner": miner, "refresh": refresh}]))
    rows, idle = form.lanes.cards[0].own.rows, idle_fields(miner, refresh)
    if refresh == "steps":
        assert idle and not idle.keys() & {"distance", "normalize", "warmup", "warmup_below"}
    for name, row in rows.items():
        changed = name == "refresh" and refresh != "steps"  # what is not at its default can be set back
        assert row.editor.isEnabled() == (name not in idle or changed), name
        assert name not in idle or changed or idle[name] in row.editor.toolTip()


def test_that_a_rule_over_two_options_is_told_beside_the_lane(form, qtbot):
    form.set_config(experiment(lanes=[{"name": "knn", "miner": "knn"}]))
    card = form.lanes.cards[0]
    card.details.open()
    type_into(qtbot, card.miner.form.line("rank_min"), "5")
    card.miner.form.editor("rank_max").check.click()
    type_into(qtbot, card.miner.form.editor("rank_max").inner.line, "3")
    assert "rank_max = 3 must be larger than rank_min = 5" in card.miner.problem.text()
    card.miner.form.editor("rank_max").check.click()
    assert card.miner.problem.text() == ""
    assert form.config().lanes[0].miner_options == {"rank_min": 5}


@pytest.mark.parametrize(
    "table",
    [
        {"bits": 32, "inner": {"a": 1, "b": [1, 2.5, "x"]}},
        {"a b": True, "c": {}, "d": [{"e": 1}]},
    ],
)
def test_that_nested_tables_are_one_line_that_reads_back_the_same(table):
    line = write_table(table)
    assert "\n" not in line
    assert read_table(line) == table


def search(qtbot, box, text, *keys):
    """Type over the choice of a combo box, then press keys."""
    box.window().activateWindow()
    box.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClicks(box, text)
    for key in keys:
        qtbot.keyClick(box.completer().popup() if box.completer().popup().isVisible() else box, key)


@pytest.mark.parametrize("typed", ["lsh", "LSH", " lsh "])
def test_that_a_miner_is_chosen_by_typing_its_name(form, qtbot, typed):
    search(qtbot, form.lanes.cards[0].miner.box, typed, Qt.Key.Key_Return)
    assert form.config().lanes[0].miner == "lsh"
    assert form.lanes.cards[0].name.text() == "lsh"
    assert form.lanes.cards[0].miner.problem.isHidden()


def test_that_any_part_of_a_name_lists_what_holds_it_without_the_headings(form, qtbot):
    box = form.lanes.cards[0].miner.box
    search(qtbot, box, "EA")
    model, popup = box.completer().completionModel(), box.completer().popup()
    listed = {model.index(row, 0).data() for row in range(model.rowCount())}
    assert popup.isVisible()
    assert listed == {name for group in grouped(MINERS) for name in group.names if "ea" in name.lower()}
    assert len(listed) > 1
    qtbot.keyClick(popup, Qt.Key.Key_Escape)
    assert not popup.isVisible()
    assert box.currentText() == "random"
    assert form.heard == []


def test_that_a_listed_name_is_chosen_with_the_arrow_and_enter(form, qtbot):
    box = form.data.box
    search(qtbot, box, "class", Qt.Key.Key_Down, Qt.Key.Key_Return)
    assert "class" in box.currentText()
    assert form.config().data.name == box.currentText()
    assert len(form.heard) == 1


def test_that_a_part_that_fits_one_name_is_enough_and_leaving_the_field_takes_it(form, qtbot):
    box = form.data.box
    search(qtbot, box, "swiss", Qt.Key.Key_Tab)
    assert not box.hasFocus()
    assert form.config().data.name == "swiss-roll"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("nonsense", "There is no miner called 'nonsense'; 'random' stays."),
        ("e", "'e' fits "),
        ("Inside the batch", "There is no miner called 'Inside the batch'; 'random' stays."),
    ],
)
def test_that_what_names_no_miner_is_said_and_the_choice_stays(form, qtbot, typed, words):
    card = form.lanes.cards[0]
    search(qtbot, card.miner.box, typed, Qt.Key.Key_Return)
    assert card.miner.problem.text().startswith(words)
    assert card.miner.problem.isVisible()
    assert card.miner.box.currentText() == "random"
    assert form.config().lanes[0].miner == "random"


def test_that_a_loss_that_the_lane_cannot_take_is_refused_with_the_reason_when_typed(form, qtbot):
    card = form.lanes.cards[1]
    search(qtbot, card.loss.box, "circle", Qt.Key.Key_Return)
    assert card.loss.problem.text() == impossible("loss", form.config(), "knn")["circle"]
    assert form.config().lanes[1].loss == "triplet-margin"


def test_that_a_click_on_the_name_opens_the_whole_list(form, qtbot):
    box = form.data.box
    qtbot.mouseClick(box.search, LEFT)
    assert box.view().isVisible()
    box.hidePopup()
    qtbot.keyClicks(box, "swiss")
    assert box.search.text() == "swiss"


def test_that_what_several_labels_rule_out_is_refused_in_the_lists_once_it_is_known(form):
    def losses() -> dict[str, str]:
        return form.lanes.cards[0].boxes["loss"].reasons()

    assert "one class" not in losses().get("n-pairs", "")
    form.know_several(form.committed.data)
    reasons = form.lanes.cards[0].boxes["miner"].reasons()
    assert "compares classes inside a batch" in reasons["BatchHardMiner"]
    assert not {"random", "knn", "lsh", "routed", "batch-hard", "semihard-negative"} & set(reasons)
    assert "made for one class an item" in losses()["n-pairs"]
    assert not {"triplet-margin", "contrastive", "multi-similarity"} & set(losses())
    form.set_config(experiment(data={"name": "rings"}))
    assert "one class" not in losses().get("n-pairs", "")

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPoint
from PyQt6.QtTest import QTest

from app.picture.scene import column_colors
from app.picture.theme import DARK, LIGHT
from app.stage.panes import PaneGrid, wrapped
from app.views.class_key import DOT, MARGIN, ClassKey
from app.views.cloud_view import CAPTION_FROM_PX
from hnm_core.run.events import Frame, RunStarted
from hnm_core.spec.config import ExperimentConfig, from_dict
from tests.app import runs


@pytest.mark.parametrize(
    ("room", "lines"),
    [
        (100, ["step 1 · loss 0.5 · MAP@R 0.8", "hard 5%"]),
        (20, ["step 1 · loss 0.5", "MAP@R 0.8", "hard 5%"]),
        (3, ["step 1", "loss 0.5", "MAP@R 0.8", "hard 5%"]),
    ],
)
def test_that_lines_break_between_figures_and_never_inside_one(room, lines):
    assert wrapped("step 1 · loss 0.5 · MAP@R 0.8\nhard 5%", room, len).splitlines() == lines


def test_that_a_figure_of_several_breaks_at_its_commas_where_it_is_too_wide_by_itself():
    text = "hard 4%, semi-hard 13%, easy 83% · warming up"
    assert wrapped(text, 40, len).splitlines() == ["hard 4%, semi-hard 13%, easy 83%", "warming up"]
    assert wrapped(text, 25, len).splitlines() == ["hard 4%, semi-hard 13%", "easy 83%", "warming up"]


def started(classes: int, groups: np.ndarray | None = None) -> RunStarted:
    labels = np.arange(3 * classes) % classes
    names = tuple(f"class {label}" for label in range(classes))
    return RunStarted(ExperimentConfig(), labels, np.arange(len(labels)), labels < 0, names, groups)


def test_that_the_classes_are_named_beside_their_colours_where_points_are_coloured_by_few_of_them(qtbot):
    grid = PaneGrid(DARK)
    qtbot.addWidget(grid)
    grid.begin(started(3))
    assert grid.keys.classes.names == ("class 0", "class 1", "class 2") and not grid.keys.classes.isHidden()
    grid.set_color_by("loss")
    assert grid.keys.classes.isHidden()
    grid.set_color_by("class")
    assert not grid.keys.classes.isHidden()
    grid.begin(started(40))
    assert grid.keys.classes.isHidden(), "there are not so many colours that can be told apart"
    grid.begin(started(4, groups=np.arange(12) % 2))
    assert grid.keys.classes.isHidden(), "groups have colours but no names"
    grid.set_color_by("label")
    assert grid.keys.classes.names == ("class 0", "class 1", "class 2", "class 3")
    grid.show_lanes(("random",), "")
    assert grid.keys.classes.isHidden()


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("width", [600, 90])
def test_that_the_key_paints_each_class_in_its_colour_however_narrow_it_is(qtbot, theme, width):
    key = ClassKey()
    qtbot.addWidget(key)
    key.set_theme(theme)
    key.show_classes(["0", "1", "2"])
    key.resize(width, 20)
    key.resize(width, key.sizeHint().height())
    picture = key.grab().toImage()
    middles = [round(key.place_of(label).center().y()) for label in range(3)]
    painted = {picture.pixelColor(x, y).getRgb()[:3] for x in range(MARGIN, width) for y in middles}
    assert set(theme.classes[:3]) <= painted
    assert picture.pixelColor(MARGIN + DOT // 2, 10).getRgb()[:3] == theme.classes[0]


def test_that_equal_colours_mean_equal_values_in_all_panes_and_a_scale_says_which(qtbot):
    grid = PaneGrid(DARK)
    qtbot.addWidget(grid)
    grid.set_smooth(False)
    lanes = from_dict({"lanes": [{"name": "a"}, {"name": "b"}]})
    run = RunStarted(lanes, np.arange(50) % 3, np.arange(50), np.zeros(50, bool), tuple("xyz"))
    grid.begin(run)
    grid.set_color_by("loss_share")
    values = {"a": np.linspace(0, 1, 50, dtype=np.float32), "b": np.linspace(0.5, 4, 50, dtype=np.float32)}
    for lane, column in values.items():
        positions = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
        grid.show_frame(Frame(lane, 1, positions, np.empty((0, 3), np.int32), 0, {"loss_share": column}))
    for _ in range(6):
        grid.advance(0.1, orbiting=False)
        QTest.qWait(40)
    low, high = np.quantile(values["a"], 0.02), np.quantile(values["b"], 0.98)
    for lane, column in values.items():
        expected, _ = column_colors(column, DARK, (float(low), float(high)))
        assert (grid.view(lane).scene.colors == expected).all()
        assert "loss share" not in grid.view(lane).caption
    assert not grid.keys.scale.isHidden() and grid.keys.scale.texts == ("loss share", f"{low:.3g}", f"{high:.3g}")
    grid.set_color_by("class")
    assert grid.keys.scale.isHidden()


def test_that_a_low_pane_says_the_most_telling_first_and_the_rest_in_a_tip(qtbot):
    grid = PaneGrid(DARK)
    qtbot.addWidget(grid)
    grid.set_smooth(False)
    grid.begin(replace(runs.started(runs.config("one")), items_total=5_000))
    view, frame = grid.view("one"), runs.frame("one", 3)
    for height, brief in ((400, False), (170, True), (110, True)):
        grid.resize(200, height)
        grid.show()
        grid.set_chip("one", "step 3 · loss 0.5 · MAP@R 0.250\nhard 25%", "details", "MAP@R 0.250 · hard 25%")
        grid.show_frame(frame)
        grid.advance(0.1, orbiting=False)
        view.grab()
        assert (view.accessibleDescription() == "MAP@R 0.250 · hard 25%") == brief
        lines = view.caption.splitlines()
        assert lines[0].endswith("edges") and ("items shown" in view.caption) != brief
        over_title, over_caption = view._tip_at(QPoint(20, 20)), view._tip_at(QPoint(20, view.height() - 15))
        assert "details" in over_title and ("items shown" in over_title) == (height < CAPTION_FROM_PX)
        assert ("items shown" in over_caption) == (height >= CAPTION_FROM_PX)
    grid._pane("one").notes = "25 hard, 58 semi-hard of 2,390 · 1,000 edges"
    grid.resize(150, 170)
    grid.advance(0.1, orbiting=False)
    assert view.caption == "25 hard, 58 semi-hard of 2,390", "a count is not cut at a comma"

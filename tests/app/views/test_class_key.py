"""The key of the classes: which marks it paints."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFontMetrics

from app.picture.raster_kernels import DIAMOND
from app.picture.scene import label_color
from app.picture.theme import DARK, LIGHT, Theme
from app.stage.keys import Keys
from app.views.class_key import DOT, ClassKey
from hnm_core.spec.data_files import WITHOUT


def painted(key: ClassKey, label: int) -> np.ndarray:
    """(12, 12) pixels round the mark of a class, whether they are covered by more than a half."""
    image = key.grab().toImage()
    left, middle = round(key.place_of(label).left() + DOT / 2), key.height() // 2
    around = range(-6, 6)
    colours = np.array(
        [[image.pixelColor(left + right, middle + down).getRgb()[:3] for right in around] for down in around], float
    )
    away = np.abs(colours - colours[0, 0]).sum(2)
    return away > away[6, 6] / 2


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_the_class_of_diamonds_has_one_for_its_mark(qtbot, theme: Theme):
    key = ClassKey()
    qtbot.addWidget(key)
    key.resize(300, 24)
    key.set_theme(theme)
    key.show_classes(("document", "query"), 1)
    key.show()
    disc, diamond = painted(key, 0), painted(key, 1)
    ys, xs = np.mgrid[-6:6, -6:6] + 0.5
    assert np.array_equal(disc, xs**2 + ys**2 <= (DOT / 2) ** 2)
    away, reach = abs(xs) + abs(ys), DIAMOND * DOT / 2
    clear = away != reach  # a rim through the middle of a pixel covers just a half
    assert np.array_equal(diamond[clear], (away < reach)[clear])
    key.show_classes(("document", "query"))
    assert np.array_equal(painted(key, 1), disc)


NAMES = ("Ankle boot", "Bag", "Coat", "Dress", "Pullover", "Sandal", "Scarf", "Shirt", "Sneaker", "T-shirt/top", "Hat")


@pytest.fixture
def many(qtbot) -> ClassKey:
    key = ClassKey()
    qtbot.addWidget(key)
    key.show_classes(NAMES)
    key.show()
    return key


def resized(key: ClassKey, width: int) -> None:
    """To a width, and as high as it wants to be there."""
    key.resize(width, key.height())
    key.resize(width, key.sizeHint().height())


def line(key: ClassKey) -> int:
    return QFontMetrics(key.font()).height() + 6


def test_that_names_that_have_room_in_one_line_stand_there_and_else_in_two(many: ClassKey):
    for width, lines in ((many.whole_width, 1), (many.whole_width * 2 // 3, 2)):
        resized(many, width)
        assert many.height() == lines * line(many)
        assert many.shown == dict(enumerate(NAMES))
        assert all(many.rect().contains(many.place_of(label).toAlignedRect()) for label in many.shown)


@pytest.mark.parametrize("width", [150, 250, 400])
def test_that_where_two_lines_are_too_short_names_are_shortened_or_counted_and_never_dots_alone(
    qtbot, many: ClassKey, width: int
):
    resized(many, width)
    assert many.height() == 2 * line(many)
    assert len(many.shown) == len(NAMES) or len(many.shown) < len(NAMES) - 1, "a count stands for two at least"
    for label, text in many.shown.items():
        assert NAMES[label].startswith(text.rstrip("…")) and len(text.rstrip("…")) >= 2
        assert many.rect().contains(many.place_of(label).toAlignedRect())
        with qtbot.waitSignal(many.class_chosen, timeout=1000) as chosen:
            qtbot.mouseClick(many, Qt.MouseButton.LeftButton, pos=many.place_of(label).center().toPoint())
        assert chosen.args == [label, False]
    assert all(name in many.toolTip() for name in NAMES)


def test_that_the_keyboard_goes_round_the_classes_that_are_named(qtbot, many: ClassKey):
    resized(many, 150)
    named = list(many.shown)
    assert len(named) < len(NAMES)
    met = []
    many.class_chosen.connect(lambda label, _add: met.append(label))
    for _ in range(len(named) + 1):
        qtbot.keyClick(many, Qt.Key.Key_Return)
        qtbot.keyClick(many, Qt.Key.Key_Right)
    assert met == [*named, named[0]]


def test_that_classes_have_a_line_of_their_own_where_there_is_no_room_beside_the_kinds_of_edges(qtbot):
    keys = Keys()
    qtbot.addWidget(keys)
    keys.edges.show_kinds(("hard", "semi_hard", "easy", "positive"))
    keys.classes.show_classes(NAMES)
    edges = keys.edges.sizeHint().width()
    keys.show()
    for width, below in ((edges + keys.classes.whole_width + 5, False), (edges + keys.classes.whole_width - 5, True)):
        keys.resize(width, 60)
        qtbot.wait(20)
        assert (keys.classes.y() > keys.edges.y()) == below
        assert keys.classes.shown == dict(enumerate(NAMES))


def test_that_of_many_labels_the_one_that_points_are_coloured_by_is_named_and_can_be_chosen(qtbot) -> None:
    key = ClassKey()
    qtbot.addWidget(key)
    names = [f"label {place}" for place in range(40)]
    key.resize(500, 30)
    key.show_classes(names, kind="rarest labels")
    assert key.isHidden()
    key.show_classes(names, kind="rarest labels", lit=31)
    assert not key.isHidden() and key.shown == {31: "label 31"}
    with qtbot.waitSignal(key.class_chosen) as chosen:
        qtbot.mouseClick(key, Qt.MouseButton.LeftButton, pos=key.place_of(31).center().toPoint())
    assert chosen.args == [31, False]


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_the_label_that_points_are_coloured_by_stands_out_of_the_grey_of_the_others(qtbot, theme) -> None:
    key = ClassKey()
    qtbot.addWidget(key)
    key.set_theme(theme)
    key.resize(1200, 30)
    key.show_classes([f"label {place}" for place in range(12)], kind="rarest labels", lit=11)
    picture = key.grab().toImage()

    def dot(label: int) -> tuple[int, int, int]:
        room = key.place_of(label)
        color = picture.pixelColor(int(room.left()) + 4, int(room.center().y()))
        return color.red(), color.green(), color.blue()

    assert dot(11) == label_color(theme) and {dot(label) for label in range(11)} == {theme.muted}
    assert max(abs(one - other) for one, other in zip(dot(11), theme.muted, strict=True)) > 80


def test_that_a_label_for_none_is_not_counted_among_the_colours(qtbot) -> None:
    key = ClassKey()
    qtbot.addWidget(key)
    key.resize(1200, 30)
    key.show_classes([*(f"l{place}" for place in range(12)), WITHOUT], kind="rarest labels")
    assert not key.isHidden() and key.shown[12] == WITHOUT

"""The key of the classes: which marks it paints."""

from __future__ import annotations

import numpy as np
import pytest

from app.picture.raster_kernels import DIAMOND
from app.picture.theme import DARK, LIGHT, Theme
from app.views.class_key import DOT, ClassKey


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

from __future__ import annotations

from app.views.dot_icons import DotIcons


def test_that_each_colour_has_one_icon_of_the_size_asked_for(qtbot):
    dots, lines = DotIcons(8), DotIcons(12, 3)
    assert dots.of((1, 2, 3)).cacheKey() == dots.of((1, 2, 3)).cacheKey() != dots.of((3, 2, 1)).cacheKey()
    for icons, size in ((dots, (8, 8)), (lines, (12, 3))):
        image = icons.of((200, 100, 0)).pixmap(20, 20).toImage()
        assert (image.width(), image.height()) == size
        assert image.pixelColor(1, 1).getRgb() == (200, 100, 0, 255)

"""Whatever is written can be read."""

from __future__ import annotations

import pytest

from app.picture.theme import DARK, LIGHT, contrast
from app.style import mix
from app.views.timing_view import INKS, PHASE_COLOURS

AA = 4.5
"""The least contrast that WCAG 2 level AA asks of small text."""


def test_that_contrast_is_that_of_wcag():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((255, 255, 255), (118, 118, 118)) == pytest.approx(4.54, abs=0.01)  # the well-known palest grey
    assert contrast((9, 9, 9), (9, 9, 9)) == 1


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize("ink", ["text", "muted", "warning", "error"])
def test_that_words_can_be_read_on_every_ground(theme, ink):
    grounds = [theme.window, theme.panel, theme.cloud_top, theme.cloud_bottom]
    assert min(contrast(getattr(theme, ink), ground) for ground in grounds) >= AA


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_that_banners_and_notes_can_be_read(theme):
    for colour, share in ((theme.error, 0.16), (theme.warning, 0.14), (theme.accent, 0.18)):  # as in the style sheets
        assert contrast(theme.text, mix(theme.panel, colour, share)) >= AA


def test_that_figures_in_the_bars_can_be_read():
    for phase, colour in PHASE_COLOURS.items():
        assert max(contrast(ink, colour) for ink in INKS) >= AA, phase

from __future__ import annotations

import sys

import pytest

from app import main
from app.main import GuiRequest, check_display, run_gui
from hnm_core.errors import InputError
from tests.app import runs


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are named in the environment on Linux only")
def test_that_without_a_display_a_sentence_says_what_to_do_instead(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"hnm-lab run.*QT_QPA_PLATFORM=offscreen"):
        run_gui(GuiRequest(runs.config()))


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_that_any_way_to_show_a_window_will_do(monkeypatch, name):
    for other in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, ":7")
    check_display()


def test_that_too_many_lanes_are_refused_before_any_window_opens(monkeypatch):
    monkeypatch.setattr(main, "check_display", lambda: pytest.fail("came to the display"))
    with pytest.raises(InputError, match="at most 6 lanes"):
        run_gui(GuiRequest(runs.config(*"abcdefg")))

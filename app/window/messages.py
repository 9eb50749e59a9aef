"""What the window tells its user: a line at the bottom for some seconds, or a banner until it is dismissed."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtWidgets import QStatusBar

from app.panels.notices import Banner
from app.window.bridge import NotYetError
from hnm_core.errors import InputError
from hnm_core.spec.plug_ins import PROGRAM

SHOWN_MS = 8000


class Messages:
    """Says things in `bar` and in `banner`."""

    def __init__(self, bar: QStatusBar, banner: Banner) -> None:
        self._bar, self.banner = bar, banner

    def say(self, text: str) -> None:
        """A message at the bottom for some seconds; the empty one takes the last away."""
        self._bar.showMessage(text, SHOWN_MS)

    def attempt(self, work: Callable[[], None]) -> None:
        """Do something the user may have got wrong; then say so and change nothing."""
        try:
            work()
        except NotYetError as error:
            self.say(str(error))  # it is over before anybody has dismissed a banner
        except InputError as error:
            self.notice(str(error))
        except OSError as error:
            self.notice(f"{error.filename or 'The file'} cannot be used: {error.strerror or error}.")

    def notice(self, text: str) -> None:
        """Something the user can mend: in the banner, and at the bottom where an error keeps that."""
        if not self.banner.show_notice(text):
            self.say(text)

    def bug(self, title: str, report: str, whose: str = PROGRAM, offer: str = "") -> None:
        """A fault of the program, or of a plug-in; `report` is the path of a file with the details, `offer` what a
        button offers to do about it."""
        self.banner.show_error(f"{title}. This is a fault of {whose}; you can go on working.", report, offer)

    def job_ended(self, title: str, outcome: str) -> None:
        """`outcome` is empty for success, "cancelled", or a sentence that says what went wrong."""
        if outcome:
            self.say(f"{title}: {'called off' if outcome == 'cancelled' else 'failed'}")
        if outcome not in ("", "cancelled"):
            self.notice(f"{title}: {outcome}")

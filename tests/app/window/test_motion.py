"""How much moves by itself: as the desktop asks, until the user chooses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from PyQt6.QtCore import QObject, pyqtClassInfo, pyqtSlot
from PyQt6.QtDBus import QDBusConnection, QDBusMessage, QDBusVariant

from app.window.desktop import ASKED, PATH, SERVICE, SETTINGS, Desktop
from app.window.motion import Motion
from app.window.settings import Settings

REDUCED, GNOME, KDE = ASKED


@pyqtClassInfo("D-Bus Interface", SETTINGS)
class Portal(QObject):
    """Answers as the settings portal does."""

    def __init__(self, bus: QDBusConnection, answers: dict[tuple[str, str], object]) -> None:
        super().__init__()
        self._bus, self._answers = bus, answers
        self.asked: set[tuple[str, str]] = set()
        assert bus.registerService(SERVICE)
        assert bus.registerObject(PATH, self, QDBusConnection.RegisterOption.ExportAllSlots)

    @pyqtSlot(str, str, QDBusMessage, name="Read")
    def read(self, namespace: str, name: str, message: QDBusMessage) -> None:
        """One setting."""
        message.setDelayedReply(True)
        self.asked.add((namespace, name))
        if (namespace, name) in self._answers:
            value = QDBusVariant(QDBusVariant(self._answers[namespace, name]))
            self._bus.send(message.createReply([value]))
        else:
            self._bus.send(message.createErrorReply("org.freedesktop.portal.Error.NotFound", "No such setting"))

    def change(self, key: tuple[str, str], value: object) -> None:
        """The user of the desktop changes a setting."""
        signal = QDBusMessage.createSignal(PATH, SETTINGS, "SettingChanged")
        signal.setArguments([*key, QDBusVariant(value)])
        self._bus.send(signal)


@pytest.fixture
def buses() -> Iterator[list[QDBusConnection]]:
    """Two ends of a message bus of the test's own."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("there is no message bus here")
    daemon = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    with subprocess.Popen(daemon, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        names = ["hnm-test-portal", "hnm-test-window"]
        yield [QDBusConnection.connectToBus(address, name) for name in names]
        for name in names:
            QDBusConnection.disconnectFromBus(name)
        process.terminate()


def test_that_the_portal_is_asked_and_its_changes_are_followed(buses, qtbot):
    portal = Portal(buses[0], {REDUCED: 0, GNOME: False})
    desktop = Desktop(buses[1])
    assert not desktop.reduced
    qtbot.waitUntil(lambda: desktop.reduced and portal.asked == set(ASKED), timeout=10_000)
    with qtbot.waitSignal(desktop.changed, timeout=10_000):
        portal.change(GNOME, True)
    assert not desktop.reduced
    with qtbot.waitSignal(desktop.changed, timeout=10_000):
        portal.change(REDUCED, 1)
    assert desktop.reduced


@pytest.mark.parametrize(
    ("key", "asking", "other"), [(REDUCED, 1, 0), (GNOME, False, True), (KDE, "0", "1.5"), (KDE, 0, "fast")]
)
def test_that_each_desktop_is_understood(key, asking, other):
    desktop = Desktop(None)
    for value, reduced in ((other, False), (asking, True), (other, False)):
        desktop.take(key, value)
        assert desktop.reduced == reduced
    desktop.take(("org.gnome.desktop.interface", "clock-format"), 1)
    assert not desktop.reduced


def test_that_a_window_moves_as_the_desktop_asks_until_its_user_chooses(open_window, tmp_path):
    settings, desktop = Settings(tmp_path / "window.ini"), Desktop(None)
    window = open_window(settings=settings, desktop=desktop)
    reduced, follow, orbit = (window.actions_by_key[key] for key in ("reduced_motion", "follow_motion", "orbit"))
    assert follow.isChecked() and not reduced.isChecked() and orbit.isEnabled()
    desktop.take(REDUCED, 1)
    assert follow.isChecked() and reduced.isChecked() and not orbit.isEnabled()
    reduced.trigger()  # off, whatever the desktop asks
    assert not follow.isChecked() and not reduced.isChecked() and orbit.isEnabled()
    desktop.take(REDUCED, 0)
    desktop.take(REDUCED, 1)
    again = Motion(settings, desktop)
    assert orbit.isEnabled() and not again.reduced and not again.follows, "the next start knows it"
    follow.trigger()
    assert reduced.isChecked() and Motion(settings, desktop).follows
    follow.trigger()  # it stays as it is, whatever the desktop asks
    desktop.take(REDUCED, 0)
    assert reduced.isChecked() and not follow.isChecked() and Motion(settings, desktop).reduced

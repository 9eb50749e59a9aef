"""Whether the desktop asks for little motion. Qt tells of its colours, but not of this."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from PyQt6.QtCore import QObject, QSettings, pyqtSignal, pyqtSlot
from PyQt6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher, QDBusPendingReply

SERVICE, PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
SETTINGS = "org.freedesktop.portal.Settings"
ASKED: Mapping[tuple[str, str], Callable[[object], bool]] = MappingProxyType(
    {
        ("org.freedesktop.appearance", "reduced-motion"): lambda value: value == 1,
        ("org.gnome.desktop.interface", "enable-animations"): lambda value: value is False,
        ("org.kde.kdeglobals.KDE", "AnimationDurationFactor"): lambda value: float(str(value)) == 0,
    }
)
"""What the settings portal of Linux desktops is asked, and which answer asks for little motion."""
CLIENT_AREA_ANIMATION = 0x1042
"""Of Windows' SystemParametersInfo: SPI_GETCLIENTAREAANIMATION."""


class Desktop(QObject):
    """`changed()`: the desktop asks for another thing than before.

    Args:
        bus: where the portal answers, some time later, and tells of changes; None where there is no such desktop.
        reduced: what is known without it.
    """

    changed = pyqtSignal()

    def __init__(self, bus: QDBusConnection | None, *, reduced: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.reduced = reduced
        self._asking: set[tuple[str, str]] = set()  # settings that ask for little motion
        if bus is None or not bus.isConnected():
            return
        bus.connect(SERVICE, PATH, SETTINGS, "SettingChanged", self._on_change)
        for key in ASKED:
            call = QDBusMessage.createMethodCall(SERVICE, PATH, SETTINGS, "Read")
            call.setArguments(list(key))
            watcher = QDBusPendingCallWatcher(bus.asyncCall(call), self)
            watcher.finished.connect(lambda answered, key=key: self._on_answer(key, answered))

    def take(self, key: tuple[str, str], value: object) -> None:
        """One setting of the portal. What nobody asks for, or cannot be read, asks for nothing."""
        asks = False
        with suppress(KeyError, ValueError):
            asks = ASKED[key](value)
        (self._asking.add if asks else self._asking.discard)(key)
        if self.reduced != bool(self._asking):
            self.reduced = bool(self._asking)
            self.changed.emit()

    def _on_answer(self, key: tuple[str, str], answered: QDBusPendingCallWatcher) -> None:
        reply = QDBusPendingReply(answered)
        if not reply.isError():  # else the desktop has no such setting
            self.take(key, reply.argumentAt(0))
        answered.deleteLater()

    @pyqtSlot(QDBusMessage)
    def _on_change(self, message: QDBusMessage) -> None:
        namespace, name, value = message.arguments()
        if (namespace, name) in ASKED:
            self.take((namespace, name), value)


def of_this_machine(parent: QObject | None = None) -> Desktop:
    """The desktop that the program runs on."""
    if sys.platform == "win32":
        animated = ctypes.c_int(1)
        ctypes.windll.user32.SystemParametersInfoW(CLIENT_AREA_ANIMATION, 0, ctypes.byref(animated), 0)
        return Desktop(None, reduced=not animated.value, parent=parent)
    if sys.platform == "darwin":
        said = QSettings("apple.com", "universalaccess").value("reduceMotion")
        return Desktop(None, reduced=said in (True, 1, "1", "true"), parent=parent)
    return Desktop(QDBusConnection.sessionBus(), parent=parent)

"""The right part of the status bar: what runs where, and how fast."""

from __future__ import annotations

from PyQt6.QtWidgets import QStatusBar

from app.memory import resident_mb
from app.plain import Label


class Figures:
    """Labels in a status bar, left to right: point under the pointer, device, threads, frames, steps, memory."""

    def __init__(self, bar: QStatusBar) -> None:
        self._labels = {name: Label() for name in ("point", "device", "fps", "steps", "memory")}
        for label in self._labels.values():
            bar.addPermanentWidget(label)
        self._tips()

    def _tips(self) -> None:
        self._labels["fps"].setToolTip("Pictures painted each second, of the slowest pane")
        self._labels["steps"].setToolTip("Training steps of each lane, each second")
        self._labels["memory"].setToolTip("Memory of the window and of the training process")

    def text(self, name: str) -> str:
        """What a label says."""
        return self._labels[name].text()

    def set_point(self, text: str) -> None:
        """The point under the pointer."""
        self._labels["point"].setText(text)

    def set_device(self, device: str, threads: int) -> None:
        """Where training runs; `device` in words, which on a CPU tell the threads already."""
        if device and "thread" not in device:
            device = f"{device} · {threads} thread{'s' if threads != 1 else ''}"
        self._labels["device"].setText(device)

    def set_rates(self, fps: float | None, steps_per_s: float | None, training_mb: float) -> None:
        """Pictures and steps in a second, None where nothing moves; memory that training takes, MiB."""
        self._labels["fps"].setText("" if fps is None else f"{fps:.0f} fps")
        self._labels["steps"].setText("" if steps_per_s is None else f"{steps_per_s:,.0f} steps/s")
        memory = resident_mb()
        self._labels["memory"].setText("" if memory is None else f"{memory + training_mb:,.0f} MB")

"""What leads a newcomer in: the gallery of presets, the stops of the tour, and all keys on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget

from app.panels.experiment_form import ExperimentForm
from app.panels.gallery import Gallery
from app.panels.keys import CLOUD_KEYS, REVIEW_KEYS, TIMELINE_KEYS, KeyGroup
from app.panels.shortcut_sheet import ShortcutSheet
from app.panels.tour import Stop
from app.picture.theme import Theme
from app.presets import cards
from app.stage.stage import Stage
from app.window.actions import ACTIONS, MENUS
from app.window.run_controls import RunControls
from hnm_core.system import paths


def open_gallery(window: QWidget, current: str, theme: Theme, recent: Sequence[Path]) -> Gallery:
    """Show the presets as pictures over `window`, with `current` marked, and the recent files that are still there."""
    there = [path for path in recent if paths.at_a_glance(path) != "missing"]
    gallery = Gallery(cards(), theme, current, there, window)
    gallery.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    gallery.open()
    return gallery


def open_shortcuts(window: QWidget, actions: Mapping[str, QAction], theme: Theme) -> None:
    """Show what every key does over `window`."""
    sheet = ShortcutSheet(key_groups(actions), theme, window)
    sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    sheet.open()


def key_groups(actions: Mapping[str, QAction]) -> list[KeyGroup]:
    """The actions that have a key, by menu, then the keys of single views."""
    groups = []
    for menu in MENUS:
        rows = [(spec.text.removesuffix(" ..."), actions[spec.key].shortcut()) for spec in ACTIONS if spec.menu == menu]
        named = [
            (keys.toString(QKeySequence.SequenceFormat.NativeText), text) for text, keys in rows if not keys.isEmpty()
        ]
        if named:
            groups.append(KeyGroup(menu, tuple(named)))
    return [*groups, CLOUD_KEYS, TIMELINE_KEYS, REVIEW_KEYS]


def tour_stops(
    form: ExperimentForm, stage: Stage, controls: RunControls, actions: Mapping[str, QAction]
) -> tuple[Stop, ...]:
    """The six things to know first, on the real controls."""

    def button(key: str) -> list[QWidget]:
        found = controls.widgetForAction(actions[key])
        return [found] if found is not None else []

    def lanes() -> list[QWidget]:
        form.scroll_area.ensureWidgetVisible(form.lanes)
        return [form.lanes]

    return (
        Stop(
            "Train",
            "Space starts the training, pauses it and goes on. The box on the left has more experiments; the button "
            "beside it shows them as pictures.",
            lambda: button("toggle_run"),
        ),
        Stop(
            "Lanes are methods side by side",
            "Each lane is a miner and a loss. All of them share the data, the batches and the first weights, so what "
            "differs between them is the method. Change one, add one, or give it another miner while it trains.",
            lanes,
        ),
        Stop(
            "The clouds",
            "Every point is an item, coloured by its class. Lines join anchors to the negatives that were mined for "
            "them, the bolder the harder, and blue ones to positives. Drag turns all clouds, the wheel brings them "
            "nearer, a click marks a point in each.",
            lambda: [stage.panes],
        ),
        Stop(
            "Time can be turned back",
            "Drag the handle to any step, while the run goes on. Marks show when something changed or went wrong; "
            "LIVE comes back to now.",
            lambda: [stage.timeline],
        ),
        Stop(
            "What it brings, and what it costs",
            "Loss and retrieval on held-out items on the left; on the right where the time of a step goes, mining "
            "apart from training.",
            lambda: [chart for chart in (stage.charts, stage.hardness, stage.timing) if not _behind(chart)],
        ),
        Stop(
            "Find anything",
            "Ctrl+K finds any command by name, ? shows all keys, and F1 brings this tour again. Data, "
            "configurations and recordings can be dropped anywhere on the window.",
            lambda: button("palette"),
        ),
    )


def _behind(chart: QWidget) -> bool:
    """Whether a chart is a tab behind another one; Qt calls it visible all the same."""
    return chart.visibleRegion().isEmpty()

"""Everything a user can do, in one table: it feeds the menus, the toolbar, the shortcuts and the command palette."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu

from app.picture.theme import Rgb
from app.style import icon
from hnm_core.spec.data_files import ANY_DATA_SUFFIX


@dataclass(frozen=True)
class ActionSpec:
    """One action. `key` names its handler; `shortcut` is Qt's portable text."""

    key: str
    menu: str
    text: str
    tip: str
    shortcut: str = ""
    icon: str = ""
    checkable: bool = False
    checked: bool = False


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("gallery", "File", "Gallery of presets ...", "Choose an experiment by its picture", "Ctrl+G", "gallery"),
    ActionSpec("open_recording", "File", "Open recording ...", "Play a finished run from its folder", "Ctrl+O", "open"),
    ActionSpec(
        "open_packed", "File", "Open packed recording ...", "Play a run that somebody sent as one file", "Ctrl+Shift+P"
    ),
    ActionSpec(
        "compare",
        "File",
        "Compare with recording ...",
        "Play this run and another one of the same data side by side",
        "Ctrl+B",
    ),
    ActionSpec("open_data", "File", "Open data ...", f"Train on your own {ANY_DATA_SUFFIX} file", "Ctrl+D", "data"),
    ActionSpec("open_config", "File", "Open configuration ...", "Read an experiment from a TOML file", "Ctrl+Shift+O"),
    ActionSpec("clear_recent", "Open recent", "Clear the list of recent files", "Forget which files were opened"),
    ActionSpec("save_config", "File", "Save configuration ...", "Write the experiment to a TOML file", "Ctrl+S"),
    ActionSpec(
        "save_recording", "File", "Save recording ...", "Copy the folder of this run to a place of yours", "S", "save"
    ),
    ActionSpec(
        "pack_recording", "File", "Pack recording ...", "Write this run into one file, to be sent to somebody", "Ctrl+P"
    ),
    ActionSpec("report", "File", "Report as a page ...", "Write what this run came to as one HTML file", "Ctrl+R"),
    ActionSpec(
        "render_video",
        "File",
        "Make video or picture ...",
        "A video of this run, a picture or its charts, with a preview",
        "Ctrl+M",
        "video",
    ),
    ActionSpec("capture", "File", "Film the window", "Film the window as it is, until pressed again", "V"),
    ActionSpec("capture_pane", "File", "Film one cloud", "Film the clicked cloud, until pressed again", "Shift+V"),
    ActionSpec("screenshot", "File", "Screenshot ...", "Save a picture of the window", "P", "camera"),
    ActionSpec("quit", "File", "Quit", "Stop the run and close the window", "Ctrl+Q"),
    ActionSpec("undo", "Edit", "Undo", "Take the last change of the experiment back, a lane or preset too", "Ctrl+Z"),
    ActionSpec("redo", "Edit", "Redo", "Do again what was taken back", "Ctrl+Shift+Z"),
    ActionSpec("toggle_run", "Run", "Train", "Start, pause or go on", "Space", "play"),
    ActionSpec("step", "Run", "One step", "One step of every lane, then stand still", ".", "step"),
    ActionSpec("apply", "Run", "Apply changes", "Let the lanes of the run take up what the form says", "Ctrl+Return"),
    ActionSpec(
        "fork", "Run", "Continue as a new lane ...", "A new lane goes on from where one stands, with another miner", "N"
    ),
    ActionSpec(
        "go_on", "Run", "Go on training from here", "Train a run on that has ended or was broken off, as it was", "G"
    ),
    ActionSpec(
        "seeds", "Run", "Repeat with five seeds", "Train it with five seeds and tell differences from chance", "Ctrl+5"
    ),
    ActionSpec(
        "evaluate", "Run", "Evaluate", "Every figure of the ended run's networks on its held-out items", "Ctrl+E"
    ),
    ActionSpec(
        "evaluate_file",
        "Run",
        "Evaluate on a file ...",
        "Every figure of the run's networks on your own data",
        "Ctrl+Shift+E",
    ),
    ActionSpec(
        "tune", "Run", "Tune a lane ...", "Search options of a lane on a validation part, in the background", "Ctrl+T"
    ),
    ActionSpec(
        "review",
        "Run",
        "Review doubtful labels ...",
        "Items whose neighbours are of another class; documents that may answer a query and that nobody judged",
        "Ctrl+Shift+R",
    ),
    ActionSpec("call_off", "Run", "Call off", "Call off what works in the background", "Ctrl+."),
    ActionSpec("reset", "Run", "Reset", "Stop the run and go back to the start", "R", "reset"),
    ActionSpec("orbit", "View", "Orbit", "Turn the clouds slowly", "O", "orbit", checkable=True),
    ActionSpec("edges", "View", "Mined pairs", "Draw the mined pairs as lines", "E", "edges", True, True),
    ActionSpec("planes", "View", "Hash planes", "Draw the first planes of a hash in 3-D clouds", "Shift+P", "", True),
    ActionSpec("link", "View", "Link cameras", "Turn all clouds together", "L", "link", True, True),
    ActionSpec("link_one", "View", "Link this cloud", "Turn the clicked cloud alone, or with the others", "Ctrl+L"),
    ActionSpec("same_scale", "View", "Same scale", "Look at all clouds from one distance", "Shift+L", "", True),
    ActionSpec(
        "race",
        "View",
        "Equal time",
        "Every lane at the same time spent: a slow one falls behind",
        "X",
        "",
        True,
    ),
    ActionSpec("fit", "View", "Fit", "Bring the clouds back into view and follow them", "F", "fit"),
    ActionSpec("take_key", "View", "Key frame of the camera", "A video can come by this view at this step", "C"),
    ActionSpec("drop_key", "View", "Remove key frame", "Take the camera's nearest key frame away", "Shift+C"),
    ActionSpec("trails", "View", "Trails", "Draw the way that selected points went", "J", "", True, True),
    ActionSpec("class_names", "View", "Class names", "Write the names of classes at their points", "K", "", True),
    ActionSpec(
        "pictures",
        "View",
        "Pictures",
        "Draw pictures of items beside their points where there is room",
        "Shift+T",
        "",
        True,
        True,
    ),
    ActionSpec("tsne", "View", "t-SNE of this moment", "Lay the embeddings out by t-SNE, until Esc", "Y", "", True),
    ActionSpec("find", "View", "Find a point ...", "Look a point or a class up in the inspector", "/", "search"),
    ActionSpec("lasso", "Select", "Lasso", "Drag round points to select them, as with Ctrl", "Q", "", True),
    ActionSpec("isolate", "Select", "Isolate", "Draw the selected points alone", "I"),
    ActionSpec("hide", "Select", "Hide", "Draw the selected points no longer", "H"),
    ActionSpec("invert", "Select", "Invert", "Select the other points", "Shift+I"),
    ActionSpec("zoom", "Select", "Zoom to selection", "Look at the selected points from near by", "Z"),
    ActionSpec("clear", "Select", "Clear", "Select no point; once more: show all points (Esc)", "Shift+Q"),
    ActionSpec("show_all", "Select", "Show all points", "Draw every point again", "Shift+H"),
    ActionSpec("live", "View", "Live", "Leave the past and show the newest frame", "End"),
    ActionSpec(
        "speaker", "View", "Speaker's mode", "Clouds alone on the full screen, in larger letters", "F11", checkable=True
    ),
    ActionSpec(
        "reduced_motion", "View", "Reduced motion", "Nothing turns, glides or plays by itself", "Shift+R", "", True
    ),
    ActionSpec(
        "follow_motion", "View", "Motion as the desktop asks", "Reduced where the desktop is", "", "", True, True
    ),
    ActionSpec("theme", "View", "Light or dark", "Change between the light and the dark look", "T", "theme"),
    ActionSpec("follow_system", "View", "Follow the system's look", "Light or dark as the desktop is"),
    ActionSpec(
        "reset_layout", "View", "Reset layout", "Put the form and the charts back to their places and sizes", "Ctrl+0"
    ),
    ActionSpec("dismiss", "View", "Dismiss", "End the full screen, a message, or the selection", "Esc"),
    ActionSpec("palette", "Help", "Command palette ...", "Find any command by name", "Ctrl+K", "search"),
    ActionSpec("tour", "Help", "Tour", "The six things to know first, on the real controls", "F1"),
    ActionSpec("shortcuts", "Help", "Keys ...", "What every key does, on one sheet", "?"),
    ActionSpec("report_folder", "Help", "Open the reports folder", "Where reports of faults are kept"),
    ActionSpec("about", "Help", "About HNM Lab", "Version, and what is drawn"),
)

MENUS = ("File", "Edit", "Run", "View", "Select", "Help")

TOOLBAR = (
    ("toggle_run", "step", "reset"),
    ("edges", "link", "orbit", "fit"),
    ("screenshot", "save_recording", "render_video"),
    ("palette", "theme"),
)
"""Groups of the toolbar; run controls with widgets of their own stand before them."""


def build(window: QMainWindow, handlers: Mapping[str, Callable[..., object]], colour: Rgb) -> dict[str, QAction]:
    """One `QAction` for each row of the table, with its handler, put into `window`.

    Raises:
        KeyError: a row has no handler.
    """
    actions = {}
    for spec in ACTIONS:
        action = QAction(spec.text, window)
        action.setObjectName(spec.key)
        action.setCheckable(spec.checkable)
        action.setChecked(spec.checked)
        if spec.shortcut:
            action.setShortcut(QKeySequence(spec.shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        if spec.key in ("toggle_run", "step"):
            action.setAutoRepeat(spec.key == "step")
        shown = QKeySequence(spec.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{spec.tip} ({shown})" if shown else spec.tip)
        action.setStatusTip(spec.tip)
        if spec.key == "quit":
            action.setMenuRole(QAction.MenuRole.QuitRole)
        if spec.key == "about":
            action.setMenuRole(QAction.MenuRole.AboutRole)
        handler = handlers[spec.key]
        if spec.checkable:
            action.toggled.connect(handler)
        else:
            action.triggered.connect(lambda _checked=False, handler=handler: handler())
        window.addAction(action)
        actions[spec.key] = action
    paint_icons(actions, colour)
    return actions


def paint_icons(actions: Mapping[str, QAction], colour: Rgb) -> None:
    """Draw the icons in the text colour of the theme."""
    for spec in ACTIONS:
        if spec.icon:
            actions[spec.key].setIcon(icon(spec.icon, colour))


def fill_menus(window: QMainWindow, actions: Mapping[str, QAction]) -> dict[str, QMenu]:
    """The menu bar, in the order of the table; its menus by name."""
    bar = window.menuBar()
    assert bar is not None
    menus = {}
    for name in MENUS:
        menu = bar.addMenu(f"&{name}")
        assert menu is not None
        for spec in ACTIONS:
            if spec.menu == name:
                if spec.key == "quit":
                    menu.addSeparator()
                menu.addAction(actions[spec.key])
        menus[name] = menu
    return menus

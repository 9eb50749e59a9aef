"""Qt's palette, style sheet and icons, made from a theme."""

from __future__ import annotations

from PyQt6.QtCore import QByteArray, QRectF, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap, QPixmapCache
from PyQt6.QtSvg import QSvgRenderer
from PyQt6.QtWidgets import QApplication

from app.picture.theme import Rgb, Theme
from hnm_core.spec.resources import resource_dir

ICON_PX = 64


def css(colour: Rgb) -> str:
    """A colour as style sheets write it."""
    return f"rgb({colour[0]}, {colour[1]}, {colour[2]})"


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """`one` with `share` (0..1) of `other`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def icon(name: str, colour: Rgb) -> QIcon:
    """`resources/icons/NAME.svg` drawn in `colour`, paler where the action is disabled."""
    path = resource_dir() / "icons" / f"{name}.svg"
    try:
        source = path.read_text(encoding="utf-8")
    except OSError:
        return QIcon()  # an icon is missing from a broken installation: the text remains
    svg = source.replace("currentColor", "#{:02x}{:02x}{:02x}".format(*colour))
    result = QIcon()
    for mode, opacity in ((QIcon.Mode.Normal, 1.0), (QIcon.Mode.Disabled, 0.35)):
        result.addPixmap(_drawn(svg, opacity), mode)
    return result


def _drawn(svg: str, opacity: float) -> QPixmap:
    """A picture of an icon; drawn once, for a window asks for some of them a dozen times."""
    known = f"{opacity} {svg}"
    if (pixmap := QPixmapCache.find(known)) is not None:
        return pixmap
    pixmap = QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setOpacity(opacity)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, ICON_PX, ICON_PX))
    painter.end()
    QPixmapCache.insert(known, pixmap)
    return pixmap


def system_theme() -> str:
    """`light` or `dark`, as the desktop says; dark where it says nothing, because clouds glow on dark ground."""
    hints = QGuiApplication.styleHints()
    if hints is not None and hints.colorScheme() == Qt.ColorScheme.Light:
        return "light"
    return "dark"


def palette(theme: Theme) -> QPalette:
    """All roles that the Fusion style asks for."""
    result = QPalette()
    base = mix(theme.panel, theme.window, 0.5) if theme.name == "dark" else theme.panel
    selected_text = theme.cloud_bottom if theme.name == "dark" else (255, 255, 255)
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: base,
        QPalette.ColorRole.AlternateBase: theme.panel,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.Button: theme.panel,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.error,
        QPalette.ColorRole.ToolTipBase: theme.panel,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: selected_text,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Light: mix(theme.panel, (255, 255, 255), 0.08),
        QPalette.ColorRole.Midlight: mix(theme.panel, (255, 255, 255), 0.04),
        QPalette.ColorRole.Mid: theme.grid,
        QPalette.ColorRole.Dark: mix(theme.window, (0, 0, 0), 0.25),
        QPalette.ColorRole.Shadow: (0, 0, 0),
    }
    for role, colour in roles.items():
        result.setColor(role, QColor(*colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(*mix(theme.muted, theme.window, 0.35)))
    return result


def sheet(theme: Theme) -> str:
    """What a palette cannot say."""
    return f"""
    QToolBar {{ border: 0; border-bottom: 1px solid {css(theme.grid)}; spacing: 1px; padding: 3px 6px; }}
    QToolBar QToolButton {{ padding: 4px 5px; border-radius: 5px; border: 1px solid transparent; }}
    QToolBar QToolButton:hover {{ background: {css(mix(theme.panel, theme.text, 0.08))}; }}
    QToolBar QToolButton:focus {{ border-color: {css(theme.accent)}; }}
    QToolBar QToolButton:pressed {{ background: {css(mix(theme.panel, theme.text, 0.16))}; }}
    QToolBar QToolButton:checked {{ background: {css(mix(theme.window, theme.accent, 0.22))};
        border-color: {css(mix(theme.window, theme.accent, 0.5))}; }}
    QToolBar QToolButton#primary {{ background: {css(theme.accent)}; padding: 4px 12px; font-weight: 600;
        color: {css(theme.cloud_bottom if theme.name == "dark" else (255, 255, 255))}; }}
    QToolBar QToolButton#primary:hover {{ background: {css(mix(theme.accent, theme.text, 0.15))}; }}
    QToolBar QToolButton#primary:focus {{ border-color: {css(theme.text)}; }}
    QToolBar QToolButton#primary:disabled {{ background: {css(theme.grid)}; color: {css(theme.muted)}; }}
    QMenuBar {{ background: {css(theme.window)}; padding: 1px 4px; }}
    QMenuBar::item {{ padding: 3px 8px; border-radius: 4px; background: transparent; }}
    QMenuBar::item:selected {{ background: {css(mix(theme.window, theme.text, 0.1))}; }}
    QMainWindow::separator {{ background: {css(theme.grid)}; width: 1px; height: 1px; }}
    QMainWindow::separator:hover {{ background: {css(theme.accent)}; }}
    QSplitter::handle {{ background: {css(theme.grid)}; }}
    QMainWindow > QTabBar {{ qproperty-elideMode: ElideNone; qproperty-usesScrollButtons: true; }}
    QDockWidget {{ font-weight: 600; titlebar-close-icon: none; }}
    QDockWidget::title {{ background: {css(theme.window)}; padding: 5px 8px; text-align: left; }}
    QCheckBox::indicator:unchecked {{ width: 12px; height: 12px; border: 1px solid {css(theme.muted)};
        border-radius: 2px; background: transparent; }}
    QStatusBar {{ border-top: 1px solid {css(theme.grid)}; }}
    QStatusBar::item {{ border: 0; }}
    QStatusBar QLabel {{ color: {css(theme.muted)}; padding: 0 6px; }}
    QToolTip {{ background: {css(theme.panel)}; color: {css(theme.text)}; border: 1px solid {css(theme.grid)};
        padding: 3px; }}
    #about {{ background: {css(theme.panel)}; border-bottom: 1px solid {css(theme.grid)}; }}
    #about QLabel#title {{ font-weight: 600; }}
    #about QLabel#text {{ color: {css(theme.muted)}; }}
    #banner {{ border-bottom: 1px solid {css(theme.error)};
        background: {css(mix(theme.panel, theme.error, 0.16))}; }}
    #banner[kind="notice"] {{ border-bottom: 1px solid {css(theme.warning)};
        background: {css(mix(theme.panel, theme.warning, 0.14))}; }}
    """


def apply(app: QApplication, theme: Theme) -> None:
    """Give the whole program the theme's look. What has it already is left alone: a style sheet, even the same one
    again, has Qt polish every widget there is."""
    text = sheet(theme)
    if text != app.styleSheet():
        app.setPalette(palette(theme))
        app.setStyleSheet(text)

"""How the form of an experiment looks in a theme."""

from __future__ import annotations

from app.picture.theme import DARK, Theme
from app.style import css, mix


def style_sheet(theme: Theme) -> str:
    """In Qt's language, for the form and all that is inside it."""
    field = mix(theme.panel, theme.text, 0.07) if theme is DARK else theme.panel
    return (
        f"#problem {{ color: {css(theme.error)}; }}"
        f"#summary {{ color: {css(theme.muted)}; }}"
        f"#doubt {{ color: {css(theme.warning)}; }}"
        "#heading { font-weight: 600; }"
        "#expander, #expander:checked { background: transparent; border: 0; padding: 2px; }"
        f"#expander:focus {{ color: {css(theme.accent)}; }}"
        f"#lane QToolButton[autoRaise=true]:focus {{ border: 1px solid {css(theme.accent)}; border-radius: 4px; }}"
        f"QLineEdit, QAbstractSpinBox {{ background: {css(field)}; }}"
        "QComboBox QLineEdit { background: transparent; border: 0; }"
        f"#lane {{ background: {css(theme.panel)}; border: 1px solid {css(theme.grid)}; border-radius: 6px; }}"
        f"#note {{ background: {css(mix(theme.panel, theme.accent, 0.18))}; border-radius: 4px; padding: 4px; }}"
        "#note QLabel { padding: 0; background: transparent; }"
        f"#apply:enabled {{ background: {css(theme.accent)}; border: 1px solid {css(theme.accent)};"
        " border-radius: 4px; padding: 4px;"
        f" color: {css(theme.cloud_bottom if theme is DARK else (255, 255, 255))}; font-weight: 600; }}"
        f"#apply:focus {{ border: 1px solid {css(theme.text)}; }}"
    )

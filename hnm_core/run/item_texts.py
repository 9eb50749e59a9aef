"""What an item is called and how its text begins, where items are texts."""

from __future__ import annotations

from typing import NamedTuple

MOST_ITEMS = 50_000
"""Of so many items each is told, of more only those that every frame shows."""
MOST_CHARACTERS = 80
"""Of a text."""
ARROWS = {0x0A: "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", 0x09: "\N{RIGHTWARDS ARROW TO BAR}"}
"""Signs for the end of a line and the tab."""
MOST_NAME = 200
"""Characters of an id."""


class ItemText(NamedTuple):
    """An item of a user's files. Both may hold anything: `in_sight` makes them fit to be shown."""

    name: str
    """Its id there, up to `MOST_NAME` characters."""
    text: str
    """The first `MOST_CHARACTERS` of its text."""


def item_text(name: object, text: str) -> ItemText:
    """An item by its id and its whole text."""
    return ItemText(str(name)[:MOST_NAME], text[:MOST_CHARACTERS])


def in_sight(text: str) -> str:
    """A text on one line, with a sign in place of every character that has none: arrows for ends of lines and tabs,
    which texts are full of and fonts have, the control pictures of Unicode, or the number of the character."""
    return "".join(letter if letter.isprintable() else _sign(ord(letter)) for letter in text)


def lines_in_sight(text: str) -> str:
    """The same of a text that keeps its lines."""
    return "\n".join(in_sight(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n"))


def _sign(number: int) -> str:
    if number in ARROWS:
        return ARROWS[number]
    if number < 0x20:
        return chr(0x2400 + number)
    return "\N{SYMBOL FOR DELETE}" if number == 0x7F else f"\\u{number:04x}"

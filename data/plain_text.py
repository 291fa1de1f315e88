"""Text from files and their names: whether it can be kept, and made safe to print: one line, no control characters."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(text: str) -> str:
    """Line ends and tabs as spaces; what else cannot be printed as its escape, so that a name cannot move a cursor."""
    return "".join(map(_printable, text))


def is_broken_text(text: str) -> bool:
    """Whether ``text`` holds half of a surrogate pair, which JSON can spell and no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()


def several(things: Sequence[str], most: int = 5) -> str:
    """The first few of ``things`` in words."""
    shown = ", ".join(things[:most])
    return shown if len(things) <= most else f"{shown} and {len(things) - most} more"

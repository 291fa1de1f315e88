"""Text from files and their names, made safe to print: one line, no control characters."""


def one_line(text: str) -> str:
    """Line ends and tabs as spaces; what else cannot be printed as its escape, so that a name cannot move a cursor."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()

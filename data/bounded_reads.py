"""Reads of bounded size, for parsers that would ask a hostile file for as much as it says it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TextIO


class TooMuch(ValueError):
    """More was asked for at once than an honest file needs."""


class BoundedReads:
    """``file`` for a parser of headers and directories: a read of more than ``most`` bytes raises TooMuch instead."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise TooMuch(f"it asks for {size:,} bytes at once")
        return self._file.read(size if size >= 0 else self._most)


def bounded_lines(text: TextIO, longest: int) -> Iterator[str]:
    """Lines with their ends; one of ``longest`` characters or more raises TooMuch, so that none can fill the memory."""
    while line := text.readline(longest):
        if len(line) == longest:
            raise TooMuch(f"a line has over {longest:,} characters")
        yield line

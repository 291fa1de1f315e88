"""The zip layout of torch files: where each member's bytes lie, without reading them.

Python's zipfile parses the directory; everything that a hostile one could say is checked here.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from data.bounded_reads import BoundedReads, TooMuch
from data.errors import UnreadableInput
from data.torch_pickle import Buffer, NotPlainData

ZIP_MAGIC = b"PK\x03\x04"
MOST_COPIED_BYTES = 2 << 30
MOST_EXPANSION = 100
MOST_DIRECTORY_BYTES = 8 << 20


@dataclass(frozen=True)
class Span:
    """``size`` bytes at ``start`` of ``data``."""

    data: Buffer
    start: int
    size: int


class Allowance:
    """Bytes that may be copied out of a file in all: a small file cannot unpack to a huge one."""

    def __init__(self, file_size: int) -> None:
        self.left = max(file_size, min(MOST_COPIED_BYTES, (64 << 20) + MOST_EXPANSION * file_size))

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise NotPlainData("unpacks to far more data than it holds")


class ZipMembers:
    """The members of a torch zip by name below its root folder, whatever that is called.

    ``copies`` bounds what may be copied out of the file, inflated members included.
    """

    def __init__(self, where: str, file: BinaryIO, data: mmap.mmap) -> None:
        try:
            members = zipfile.ZipFile(BoundedReads(file, MOST_DIRECTORY_BYTES)).infolist()  # type: ignore[arg-type]
        except TooMuch:
            raise NotPlainData("is a zip archive with more parts than a set of tensors has") from None
        except zipfile.BadZipFile as error:
            raise UnreadableInput(f"{where} is incomplete or damaged ({error}); copy or download it again.") from error
        pickles = [member.filename for member in members if member.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or len({member.filename for member in members}) != len(members):
            raise NotPlainData("is a zip archive, but not one that torch.save wrote")
        self.copies = Allowance(len(data))
        self._data = data
        self._root = pickles[0].removesuffix("data.pkl")
        self._members = {member.filename: member for member in members}

    def text(self, name: str, default: str) -> str:
        if self._root + name not in self._members:
            return default
        span = self.span(name)
        return bytes(span.data[span.start : span.start + min(span.size, 64)]).decode("ascii", "replace")

    def span(self, name: str) -> Span:
        """Where the member's bytes lie; inflated within bounds where it is deflated."""
        member = self._members.get(self._root + name)
        if member is None:
            raise EOFError(f"its part {name[:40]!r} is missing")
        start = self._start(member)
        if member.compress_type == zipfile.ZIP_STORED:
            if member.compress_size != member.file_size:
                raise EOFError(f"its part {name[:40]!r} has two sizes")
            return Span(self._data, start, member.file_size)
        if member.compress_type != zipfile.ZIP_DEFLATED or member.flag_bits & 1:
            raise NotPlainData("is compressed or encrypted in a way that torch does not use")
        self.copies.take(member.compress_size + member.file_size)
        return self._inflate(member, start)

    def _start(self, member: zipfile.ZipInfo) -> int:
        header = self._data[member.header_offset : member.header_offset + 30]
        if len(header) < 30 or header[:4] != ZIP_MAGIC:
            raise EOFError("a part of the archive is not where its directory says")
        start = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if start + member.compress_size > len(self._data):
            raise EOFError("a part of the archive reaches beyond the end of the file")
        return start

    def _inflate(self, member: zipfile.ZipInfo, start: int) -> Span:
        packed = self._data[start : start + member.compress_size]
        inflated = zlib.decompressobj(-15).decompress(packed, member.file_size + 1)
        if len(inflated) != member.file_size:
            raise EOFError("a compressed part does not have the size that its directory says")
        return Span(bytearray(inflated), 0, len(inflated))

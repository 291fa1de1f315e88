import io

import pytest

from data.bounded_reads import BoundedReads, TooMuch, bounded_lines


def test_bounded_reads():
    file = BoundedReads(io.BytesIO(b"abcdef"), 4)
    assert file.read(2) == b"ab" and file.tell() == 2 and file.read() == b"cdef"
    with pytest.raises(TooMuch):
        file.read(5)


def test_bounded_lines():
    assert list(bounded_lines(io.StringIO("ab\n\ncd"), 4)) == ["ab\n", "\n", "cd"]
    with pytest.raises(TooMuch):
        list(bounded_lines(io.StringIO("ab\nabcd"), 4))

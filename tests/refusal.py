"""How every bad input must be met: one sentence on stderr, exit code 2, nothing written, nothing changed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from data.__main__ import main

CANARY = Path(tempfile.gettempdir()) / f"stillroom-ran-foreign-code-{os.getpid()}"


def refuse(capsys, path: Path, *options: str, root: Path | None = None) -> str:
    """Both commands refuse ``path`` alike; returns what they say."""
    root = root or path.parent
    before = contents(root)
    out = root / "written" / "here"
    said = []
    for command in (["inspect", str(path), *options], ["export", str(path), *options, "--out", str(out)]):
        assert main(command) == 2, command
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.endswith("\n") and printed.err.count("\n") == 1, printed.err
        assert "Traceback" not in printed.err and 20 < len(printed.err) < 1000
        said.append(printed.err.strip())
    assert contents(root) == before
    assert not CANARY.exists()
    return said[0]


def contents(root: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() and not p.is_symlink() else None for p in root.rglob("*")}

"""``python -m data import-decisions`` and ``export-decisions``: from and to other programs, without a workspace."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from data.cli import add_opening_options, opening_options
from data.decisions import Decision, states
from data.errors import ImpossibleRequest
from data.exchange import AUTO, FORMATS, WHATS, SetNames, What, finding_of, load, load_log, names_of, save
from data.exchange.matching import UNSIGNED, new_to
from data.formats import open_set


def add_exchange_commands(commands: argparse._SubParsersAction) -> None:
    """Put both among the others."""
    importing = commands.add_parser("import-decisions", help="decisions from another program, as a log for this set")
    _add_places(importing)
    importing.add_argument("--annotator", default=UNSIGNED, metavar="NAME", help="who signs what the file leaves unsigned")
    importing.add_argument("--valid-only", action="store_true", help="leave out what does not fit the set, and say so")
    importing.set_defaults(command=_import)
    exporting = commands.add_parser("export-decisions", help="a log of decisions in another program's format")
    _add_places(exporting)
    exporting.add_argument("--to", required=True, choices=FORMATS, help="the format to write")
    exporting.add_argument(
        "--what", choices=WHATS, default="log", help="the whole log, or only what the current state rests on"
    )
    exporting.set_defaults(command=_export)


def save_new(log: Iterable[Decision], what: What, format_name: str, names: SetNames, out: Path) -> tuple[str, ...]:
    """As data.exchange.save, into a file that appears whole or not at all. Raises ImpossibleRequest where there is one
    already, or it cannot be written."""
    if os.path.lexists(out):
        raise ImpossibleRequest(f"{out} is there already and may hold decisions; choose another name.")
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as folder:
            part = Path(folder) / "decisions"
            notes = save(log, what, format_name, names, part)
            part.rename(out)
    except OSError as error:
        raise ImpossibleRequest(f"{out} cannot be written ({error.strerror or error}); choose another place.") from error
    return notes


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="SET", help="the set that the decisions are about")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--from", dest="from_format", choices=(AUTO, *FORMATS), default=AUTO, help="the format of FILE, where it is not seen"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    add_opening_options(parser)


def _import(given: argparse.Namespace) -> int:
    names = names_of(open_set(given.path, opening_options(given)))
    matched = load(given.file, given.from_format, names, given.annotator, finding_of(given.file))
    if matched.refused and not given.valid_only:
        others = f"correct the file, or take the {len(matched.decisions):,} others with --valid-only."
        raise ImpossibleRequest(" ".join((*matched.problems, f"Nothing was written; {others}")))
    decisions = new_to(matched.decisions, ())
    save_new(decisions, "log", "jsonl", names, given.out)
    print(f"{len(decisions):,} decisions about {len(states(decisions)):,} samples written to {given.out}")
    print("".join(f"note: {note}\n" for note in (*matched.notes, *(f"left out: {it}" for it in matched.problems))), end="")
    return 0


def _export(given: argparse.Namespace) -> int:
    names = names_of(open_set(given.path, opening_options(given)))
    log = load_log(given.file, given.from_format, names)
    notes = save_new(log, given.what, given.to, names, given.out)
    print(f"{given.out} written from {len(log):,} entries of {given.file.name}")
    cannot = () if FORMATS[given.to].WHOLE else (FORMATS[given.to].CANNOT,)
    print("".join(f"note: {note}\n" for note in (*notes, *cannot)), end="")
    return 0

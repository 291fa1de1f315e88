"""``python -m data inspect PATH`` and ``python -m data export PATH --out DIR``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.cli import add_opening_options, opening_options, report_errors
from data.curation import MIXES, CuratedSet, curate
from data.decisions import read_jsonl, states
from data.derived_sources import DerivedSource, open_derived
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.export import export
from data.formats import FORMATS, open_set
from data.inspection import as_text, describe
from data.labels_to_write import LabelsToWrite, with_labels


@report_errors
def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one sentence on stderr."""
    given = _parser().parse_args(arguments)
    code = given.command(given)
    sys.stdout.flush()  # a closed pipe shows itself here, where it can still be handled
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data", description="Distilled sets as they lie on disk.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspecting = commands.add_parser("inspect", help="say what a set is")
    inspecting.add_argument("path")
    inspecting.add_argument(
        "--json", action="store_true", help="the same as JSON; the keys are those of data.inspection.describe"
    )
    inspecting.add_argument(
        "--hashes", action="store_true", help="hash the batches of a large relabelled tree too, which reads all of it"
    )
    add_opening_options(inspecting)
    inspecting.set_defaults(command=_inspect)
    exporting = commands.add_parser("export", help="write a set with decisions applied, and a manifest")
    exporting.add_argument("path")
    exporting.add_argument(
        "--decisions", type=Path, metavar="FILE.jsonl", help="one JSON object a line; without it nothing changes"
    )
    exporting.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    exporting.add_argument(
        "--as", dest="as_format", choices=FORMATS, metavar="FORMAT", help=f"another layout: {', '.join(FORMATS)}"
    )
    exporting.add_argument(
        "--mixes",
        choices=MIXES,
        default="rows",
        help="relabelled trees: what becomes of rows mixed with a pruned image: they go (rows), their batch goes (batch), "
        "or they are mixed with themselves and keep their label (self)",
    )
    exporting.add_argument(
        "--derived",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="corrected labels, as `python -m analysis correct` writes them; written beside the set",
    )
    exporting.add_argument(
        "--labels-from",
        metavar="NAME",
        help="the name of one of those: they become the set's own soft labels, and what it came with is kept beside",
    )
    exporting.add_argument("--drop-given", action="store_true", help="do not keep the soft labels that it came with")
    add_opening_options(exporting)
    exporting.set_defaults(command=_export)
    return parser


def _inspect(given: argparse.Namespace) -> int:
    description = describe(open_set(given.path, opening_options(given)), given.hashes)
    print(json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) if given.json else as_text(description))
    return 0


def _export(given: argparse.Namespace) -> int:
    opened = _with_labels(open_set(given.path, opening_options(given)), given)
    log = [] if given.decisions is None else read_jsonl(given.decisions)
    curated = curate(opened, states(log))
    manifest = export(curated, log, given.out, given.as_format, mixes=given.mixes)
    print(_summary(curated, manifest, json.loads(manifest.read_text(encoding="utf-8"))["notes"]))
    return 0


def _with_labels(opened: DistilledSet, given: argparse.Namespace) -> DistilledSet:
    """The set with the corrected labels that were named."""
    if given.labels_from is not None and not given.derived:
        raise ImpossibleRequest(
            "--labels-from names one of the corrected labels given with --derived DIR; give that folder."
        )
    if given.drop_given and given.labels_from is None:
        raise ImpossibleRequest(
            "--drop-given goes with --labels-from NAME, which says what takes the place of what it drops."
        )
    made: list[DerivedSource] = []
    for folder in given.derived:
        source, values = open_derived(opened, folder)
        made.append(source)
        opened = replace(opened, derived_sources={**opened.derived_sources, source.name: values})
    own = next((source for source in made if source.name == given.labels_from), None)
    if given.labels_from is not None and own is None:
        known = ", ".join(source.name for source in made)
        raise ImpossibleRequest(f"there are no corrected labels '{given.labels_from}' among those given: {known}.")
    beside = tuple(source for source in made if source is not own)
    return with_labels(opened, LabelsToWrite(own, beside, not given.drop_given), given.as_format)


def _summary(curated: CuratedSet, manifest: Path, notes: Sequence[str]) -> str:
    changes = ((len(curated.pruned), "pruned"), (len(curated.relabelled), "relabelled"), (len(curated.softened), "softened"))
    changed = ", ".join(f"{count:,} {name}" for count, name in changes if count) or "nothing changed"
    lines = [f"{len(curated.set):,} of {len(curated.original):,} samples written to {manifest.parent} ({changed})"]
    return "\n".join([*lines, *(f"note: {note}" for note in notes), f"manifest: {manifest}"])


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # file names need not be valid UTF-8
    sys.exit(main())

"""``python -m data inspect PATH``, ``export PATH --out DIR``, and decisions from and to other programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.cli import add_opening_options, check_apart, opening_options, report_errors
from data.curation import MIXES, CuratedSet, curate
from data.decisions import read_jsonl, states
from data.derived_sources import DerivedSource, open_derived
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.exchange_commands import add_exchange_commands
from data.export import export
from data.formats import FORMATS, open_set
from data.inspection import as_text, describe
from data.labels_to_write import LabelsToWrite, with_labels
from data.own_labels import own_labels


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
    add_exchange_commands(commands)
    return parser


def _inspect(given: argparse.Namespace) -> int:
    description = describe(open_set(given.path, opening_options(given)), given.hashes)
    print(json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) if given.json else as_text(description))
    return 0


def _export(given: argparse.Namespace) -> int:
    source = open_set(given.path, opening_options(given))
    opened = _with_labels(source, given)
    check_apart(given)
    log = [] if given.decisions is None else read_jsonl(given.decisions)
    curated = curate(opened, states(log))
    manifest = export(curated, log, given.out, given.as_format, mixes=given.mixes)
    notes = [*_labels_note(source, opened), *json.loads(manifest.read_text(encoding="utf-8"))["notes"]]
    print(_summary(curated, manifest, notes))
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


def _labels_note(source: DistilledSet, opened: DistilledSet) -> tuple[str, ...]:
    """What took the place of the soft labels that the set came with, and what became of those."""
    own = own_labels(opened)
    if own is None:
        return ()
    kept = f"are kept as '{own.kept_as}'" if own.kept_as is not None else "are not kept"
    before = f"; those it came with {kept}" if GIVEN in source.label_sources else ""
    return (f"the set's own soft labels are now '{own.recipe['name']}'{before}.",)


def _summary(curated: CuratedSet, manifest: Path, notes: Sequence[str]) -> str:
    changes = ((len(curated.pruned), "pruned"), (len(curated.relabelled), "relabelled"), (len(curated.softened), "softened"))
    nothing = "nothing changed" if own_labels(curated.original) is None else "no sample decided"
    changed = ", ".join(f"{count:,} {name}" for count, name in changes if count) or nothing
    lines = [f"{len(curated.set):,} of {len(curated.original):,} samples written to {manifest.parent} ({changed})"]
    return "\n".join([*lines, *(f"note: {note}" for note in notes), f"manifest: {manifest}"])


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # file names need not be valid UTF-8
    sys.exit(main())

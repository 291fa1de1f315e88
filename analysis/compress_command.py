"""``python -m analysis compress``: what the analysis of that plan keeps, combined and written as a set of its own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.compressing.combined import Wish, combine_and_write
from analysis.context import Context, Report
from analysis.findings import Findings
from analysis.registry import find, run
from data import open_set
from data.cli import add_opening_options, check_apart, name_and_value, opening_options
from data.curation import CuratedSet, curate
from data.decisions import Decision, read_jsonl, states, write_jsonl
from data.errors import ImpossibleRequest
from data.new_folder import check_free, check_outside

ANALYSIS = "compression"
PLANNING = 0.7
"""The part of the progress until something is written."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], report: Report, cache: Path) -> None:
    """Add the subcommand, which tells its progress to ``report`` and keeps embeddings in ``cache``."""
    parser = commands.add_parser(
        "compress", help="keep the best images of each class and write their mosaics as a set (PCA, RDED)"
    )
    parser.add_argument("path", type=Path, help="the set")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"of the analysis {ANALYSIS}: ipc, total, share, spread, floor, direction, a weight of each score, factor, ...",
    )
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE.jsonl", help="what people decided: what they pruned is not used"
    )
    parser.add_argument(
        "--prunes", type=Path, metavar="FILE.jsonl", help="write what is not kept as decisions, for `python -m data export`"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a new or empty folder for the combined set")
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu; the best one by default")
    add_opening_options(parser)
    parser.set_defaults(command=lambda given: _compress(given, report, cache))


def _compress(given: argparse.Namespace, report: Report, cache: Path) -> int:
    if given.out is None and given.prunes is None:
        raise ImpossibleRequest("nothing to write: give --out FOLDER for a combined set, --prunes FILE.jsonl, or both.")
    parameters = dict(map(name_and_value, given.param))
    arguments = find(ANALYSIS).arguments(parameters)
    opened = open_set(given.path, opening_options(given))
    if given.out is not None:
        check_apart(given)
        check_free(given.out, given.path)
    if given.prunes is not None:
        _check_prunes(given.prunes, given.path)
    decided = {} if given.decisions is None else states(read_jsonl(given.decisions))
    curated = curate(opened, decided)
    context = Context(device=given.device, cache=cache, report=report)
    findings = run(ANALYSIS, opened, context.part(0, PLANNING), **parameters)
    _print_plan(findings)
    if given.prunes is not None:
        table = findings.per_sample
        write_jsonl([_prune(i) for i in table["sample_id"][~table["kept"]].tolist()], given.prunes)
        print(f"  {int((~table['kept']).sum()):,} prunes written to {given.prunes}")
    if given.out is not None:
        _write(findings, arguments, curated, given.out, context)
    report(1.0, "written")
    return 0


def _write(findings: Findings, arguments: Mapping[str, Any], curated: CuratedSet, out: Path, context: Context) -> None:
    tile = findings.per_sample["tile"].to_numpy()
    wish = Wish(tile, arguments["factor"], arguments["resampling"], arguments)
    manifest = combine_and_write(curated, wish, out, context.part(PLANNING, 1).report)
    print(f"  combined set written to {manifest.parent}")


def _prune(sample_id: int) -> Decision:
    return Decision(sample_id, "prune", reason="other", annotator=ANALYSIS, finding=ANALYSIS)


def _check_prunes(file: Path, source: Path) -> None:
    """Found out before the work begins. Raises ImpossibleRequest."""
    check_outside(file, source)
    if file.exists() or not file.parent.is_dir():
        raise ImpossibleRequest(f"{file} is there already or its folder is not; name a new file in a folder that is there.")


def _print_plan(findings: Findings) -> None:
    for figure in findings.summary:
        print(f"  {figure.label}: {figure.shown}  ({'; '.join(filter(None, (figure.interval, figure.basis)))})")
    for caveat in findings.caveats:
        print(f"  note: {caveat}")

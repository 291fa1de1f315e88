"""``python -m analysis list``, ``run NAME PATH`` (the same registry that the pages use), ``prune-labels PATH``,
``correct PATH`` and ``compress PATH``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis import findings_io
from analysis.compress_command import add_command as add_compress
from analysis.context import Context, Report
from analysis.correct_command import add_command as add_correct
from analysis.findings import Findings
from analysis.prune_labels_command import add_command as add_prune_labels
from analysis.raw_arrays import open_arrays
from analysis.registry import Analysis, Parameter, analyses, find, run
from data import open_set
from data.annotations import annotations
from data.cli import add_opening_options, check_apart, name_and_value, opening_options, report_errors
from data.curation import check_fits
from data.decisions import read_jsonl, states
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import KINDS
from data.verdicts import verdicts


@report_errors
def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one sentence on stderr."""
    given = _parser().parse_args(arguments)
    return given.command(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Analyses of distilled sets.")
    commands = parser.add_subparsers(required=True)
    listing = commands.add_parser("list", help="every analysis with its parameters")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_list)
    running = commands.add_parser("run", help="run one analysis on one set and write its findings")
    running.add_argument("name")
    running.add_argument("path", type=Path, nargs="?", help="the set; or else --probabilities and --labels")
    running.add_argument("--probabilities", type=Path, metavar="FILE", help="any model's predictions, without images")
    running.add_argument("--kind", choices=KINDS, default="probabilities", help="what the numbers in that file are")
    running.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    running.add_argument(
        "--decisions", type=Path, metavar="FILE.jsonl", help="what people decided, for analyses that learn from it"
    )
    running.add_argument("--out", type=Path, required=True, metavar="DIR")
    running.add_argument("--device", default="auto", help="cuda, mps or cpu; the best one by default")
    running.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_opening_options(running)
    running.set_defaults(command=_run)
    add_prune_labels(commands, _reporting())
    add_correct(commands, _reporting())
    add_compress(commands, _reporting(), _cache())
    return parser


def _list(given: argparse.Namespace) -> int:
    known = analyses().values()
    if given.json:
        print(json.dumps([_describe(entry) for entry in known], indent=2))
        return 0
    for entry in known:
        print(f"{entry.name}: {entry.title}\n  {entry.meaning}\n  {entry.paper}")
        print(f"  needs: {', '.join(entry.needs) or 'labels only'}")
        for parameter in entry.parameters:
            print(f"  --param {parameter.name}={parameter.default!s}{_limits(parameter)}")
        print()
    return 0


def _run(given: argparse.Namespace) -> int:
    entry = find(given.name)
    parameters = dict(map(name_and_value, given.param))
    arguments = entry.arguments(parameters)
    distilled_set = _opened(given)
    check_apart(given)
    context = _hearing(Context(device=given.device, cache=_cache(), report=_reporting()), given, entry, distilled_set)
    about = {"analysis": entry.name, "set": str(given.path or given.probabilities), "parameters": arguments}
    with _folder(given.out):
        findings = run(entry.name, distilled_set, context, **parameters)
        findings_io.save(findings, given.out, about)
    if given.json:
        print(json.dumps({**about, **findings_io.summary(findings)}, indent=2, ensure_ascii=False))
    else:
        _print_summary(entry, findings, given.out)
    return 0


def _opened(given: argparse.Namespace) -> DistilledSet:
    if given.probabilities is None:
        if given.path is None:
            raise ImpossibleRequest("nothing to run on: give the PATH of a set, or --probabilities FILE and --labels FILE.")
        return open_set(given.path, opening_options(given))
    if given.path is not None or given.labels is None:
        raise ImpossibleRequest("--probabilities goes with --labels FILE, the given class of each row, and without a PATH.")
    return open_arrays(given.probabilities, Path(given.labels), given.kind)


def _hearing(context: Context, given: argparse.Namespace, entry: Analysis, distilled_set: DistilledSet) -> Context:
    """``context`` with what the log of decisions says, as far as the analysis reads it."""
    if given.decisions is None:
        return context
    if not _reads_decisions(entry):
        reading = ", ".join(name for name, other in analyses().items() if _reads_decisions(other))
        raise ImpossibleRequest(
            f"{entry.name} does not learn from decisions; leave out --decisions, or run one of: {reading}."
        )
    log = read_jsonl(given.decisions)
    decided = states(log)
    check_fits(distilled_set, decided)
    if entry.reads_verdicts:
        context = replace(context, verdicts=entry.heard(verdicts(decided, distilled_set.labels)))
    return replace(context, annotations=annotations(log, distilled_set.labels)) if entry.reads_annotations else context


def _reads_decisions(entry: Analysis) -> bool:
    return entry.reads_verdicts or entry.reads_annotations


def _print_summary(entry: Analysis, findings: Findings, out: Path) -> None:
    print(entry.title)
    for figure in findings.summary:
        about = ", ".join(filter(None, (figure.interval, figure.basis, f"n = {figure.n:,}")))
        print(f"  {figure.label}: {figure.shown}  ({about})")
    print(f"  flagged: {int(findings.per_sample['flag'].sum()):,} of {len(findings.per_sample):,}")
    for caveat in findings.caveats:
        print(f"  note: {caveat}")
    print(f"  written to {out}")


def _describe(entry: Analysis) -> dict[str, Any]:
    parameters = [
        {
            "name": parameter.name,
            "type": parameter.type.__name__,
            "default": parameter.default,
            "choices": list(parameter.choices),
            "limits": _limits(parameter).strip(),
        }
        for parameter in entry.parameters
    ]
    about = {name: getattr(entry, name) for name in ("name", "title", "meaning", "paper")}
    return {**about, "needs": list(entry.needs), "reads_verdicts": entry.reads_verdicts, "parameters": parameters}


def _limits(parameter: Parameter) -> str:
    if parameter.choices:
        return f"  (one of {', '.join(map(str, parameter.choices))})"
    return f"  ({parameter.marker.describe()})" if parameter.marker is not None else ""


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make ``folder`` before the work begins, so that a wrong one is not found out after it; gone again if it fails."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImpossibleRequest(f"{folder} cannot be made ({error.strerror}); choose another --out.") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for place in made:
                place.rmdir()
        raise


def _cache() -> Path:
    """Embeddings are kept for the next command, by content."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stillroom"


def _reporting() -> Report:
    return _progress if sys.stderr.isatty() else _quiet


def _progress(fraction: float, message: str) -> None:
    print(f"\r{fraction:4.0%} {message:<60}", end="\n" if fraction >= 1 else "", file=sys.stderr)


def _quiet(fraction: float, message: str) -> None:
    return None


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # file names need not be valid UTF-8
    sys.exit(main())

"""``python -m analysis correct``: soft labels corrected and written as a folder of their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from analysis.context import Context, Report
from analysis.corrections.derive import derive
from analysis.corrections.registry import Correction, corrections, find
from analysis.findings import Figure
from analysis.sources.committee_names import is_committee
from data import open_set
from data.cli import add_opening_options, check_apart, name_and_value, opening_options
from data.derived_sources import DerivedSource, attach_derived, check_new_name, open_derived
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.new_folder import check_free


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], report: Report) -> None:
    """Add the subcommand, which tells its progress to ``report``."""
    parser = commands.add_parser(
        "correct",
        help="correct a label source and write the new logits, for `python -m data export --derived`",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n\n".join(map(_told, corrections().values())),
    )
    parser.add_argument("path", type=Path, help="the set")
    parser.add_argument("--correction", required=True, metavar="NAME", help=f"one of {', '.join(corrections())}")
    parser.add_argument("--source", default="", metavar="S", help="the label source to correct; the given one by default")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--name", required=True, metavar="N", help="what the new label source is called")
    parser.add_argument(
        "--derived", type=Path, action="append", default=[], metavar="DIR", help="labels corrected before, to choose from"
    )
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu; the best one by default")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    add_opening_options(parser)
    parser.set_defaults(command=lambda given: _correct(given, report))


def check_name(distilled_set: DistilledSet, name: str) -> None:
    """Raises ImpossibleRequest where new labels of the set cannot be called ``name``."""
    check_new_name(distilled_set, name)
    if is_committee(name):
        raise ImpossibleRequest(f"'{name}' would be taken for a committee of label sources; choose another name.")


def _correct(given: argparse.Namespace, report: Report) -> int:
    entry = find(given.correction)
    parameters = dict(map(name_and_value, given.param))
    entry.arguments(parameters)
    opened = open_set(given.path, opening_options(given))
    for folder in given.derived:
        open_derived(opened, folder)  # says what is wrong with it, which attaching only warns of
        opened = attach_derived(opened, [folder])
    check_apart(given)
    check_free(given.out, given.path)
    check_name(opened, given.name)
    context = Context(device=given.device, report=report)
    made = derive(entry.name, opened, given.source, context, given.out, given.name, parameters)
    print(_summary(entry, made, given.out))
    sys.stdout.flush()
    return 0


def _summary(entry: Correction, made: DerivedSource, out: Path) -> str:
    source = made.recipe["source"]
    lines = [f"{entry.title}{'' if source is None else f' of {source!r}'}: '{made.name}' written to {out}"]
    for said in made.recipe["found"]:
        figure = Figure(**said)
        about = ", ".join(filter(None, (figure.interval, figure.basis, f"n = {figure.n:,}")))
        lines.append(f"  {figure.label}: {figure.shown}  ({about})")
    lines += [f"  note: {caveat}" for caveat in made.recipe["caveats"]]
    return "\n".join(
        [*lines, f"to use it: python -m data export PATH --derived {out} --labels-from '{made.name}' --out DIR"]
    )


def _told(entry: Correction) -> str:
    parameters = ", ".join(f"{parameter.name}={parameter.default}" for parameter in entry.parameters) or "none"
    return f"{entry.name}: {entry.title}\n  {entry.meaning}\n  {entry.paper}\n  --param {parameters}"

"""``python -m benchmarks.critic``: who is right when asked "given or guessed?", on labels that a crowd has checked.

Writes the CIFAR-10 and MNIST test images that a crowd checked, and others of each class, as sets in a temporary folder, runs
``python -m analysis run critic`` on each with the crowd's decisions, and reads the answers it wrote. Each judge is measured
on the pairs of the given label and the one confident learning guessed, where the crowd settled on one of them; so is the
combination, whose weights never come from the sample they vote on, and it is compared with the best judge pair by pair.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.critic.combined import AgainstBest, against_best, judges_table
from analysis.critic.votes import Preferences, preferences
from analysis.findings import Findings
from analysis.findings_io import load
from benchmarks.critic_sets import CrowdSet, cifar10, mnist
from data.pair_answers import from_frame
from data.verdicts import Verdicts

SETS = {"cifar10": cifar10, "mnist": mnist}


@dataclass(frozen=True, eq=False)
class Measured:
    """``judges`` as ``judges_table``, the combination against the best of them, and of the ``n`` samples the crowd settled
    how often the critic's best label (``best``) and the published one (``given``) is the crowd's."""

    judges: pd.DataFrame
    against: AgainstBest | None
    best: int
    given: int
    n: int


def run_critic(checked: CrowdSet, out: Path, parameters: list[str]) -> Findings:
    """The findings of the command line on the set. Raises CalledProcessError where it fails."""
    chosen = [part for parameter in parameters for part in ("--param", parameter)]
    command = ["run", "critic", str(checked.path), "--decisions", str(checked.decisions), "--out", str(out), *chosen]
    subprocess.run([sys.executable, "-m", "analysis", *command], check=True, stdout=sys.stderr)
    return load(out)


def measure(checked: CrowdSet, found: Findings) -> Measured:
    """What ``found`` says of the pairs that the crowd settled."""
    order = np.argsort(checked.sample_id)
    order = order[checked.settled[order] >= 0]
    verdicts = Verdicts(checked.sample_id[order], checked.settled[order])
    asked = _given_or_guessed(preferences(from_frame(found.tables["answers"])), checked)
    suggested = found.per_sample.set_index("sample_id")["suggested_label"]
    # Where nothing was asked the given label stands.
    best = suggested.reindex(verdicts.ids).to_numpy()
    given = checked.given[order]
    right = int((np.where(best < 0, given, best) == verdicts.labels).sum())
    return Measured(
        judges_table(asked, verdicts),
        against_best(asked, verdicts),
        right,
        int((given == verdicts.labels).sum()),
        len(verdicts),
    )


def tell(name: str, measured: Measured) -> None:
    """Print it."""
    print(f"\n{name}: given or guessed, where the crowd settled on one")
    print(f"{'judge':24}{'pairs':>7}{'ties':>7}{'accuracy':>10}   95 % interval")
    for row in measured.judges.itertuples():
        interval = f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}"
        print(f"{row.judge:24}{row.n:>7}{row.ties:>7}{row.accuracy:>10.1%}   {interval}")
    if found := measured.against:
        print(
            f"combined less {found.judge}, on {found.n} pairs: {found.difference:+.1%} ({found.low:+.1%} to "
            f"{found.high:+.1%}), sign test p = {found.p:.2g}"
        )
    published, best = (count / max(measured.n, 1) for count in (measured.given, measured.best))
    print(f"of {measured.n} settled labels right: {published:.1%} as published, {best:.1%} of the critic's best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--images", type=int, default=2_000, help="of each set, those the crowd checked among them")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="of the critic")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.sets:
            checked = SETS[name](Path(folder), given.images)
            tell(name, measure(checked, run_critic(checked, Path(folder) / f"{name} findings", given.param)))


def _given_or_guessed(asked: Preferences, checked: CrowdSet) -> Preferences:
    """Only the pairs of the given and the guessed label of a sample the crowd was shown."""
    pairs = np.sort(np.stack([checked.given, checked.guessed], axis=1), axis=1)
    shown = pd.MultiIndex.from_arrays([checked.sample_id, *pairs.T])
    return asked.take(pd.MultiIndex.from_arrays([asked.sample_id, asked.first, asked.second]).isin(shown))


if __name__ == "__main__":
    main()

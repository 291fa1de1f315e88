"""What the command lines share: the options that open a set, and errors as one sentence."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, StillroomError
from data.formats import FORMATS
from data.new_folder import check_outside
from data.pixels import PROFILES
from data.plain_text import one_line

Command = Callable[[list[str] | None], int]


def add_opening_options(parser: argparse.ArgumentParser) -> None:
    """What a person may say about a set that its files do not; see OpenOptions."""
    parser.add_argument("--repeat", type=int, metavar="N", help="which repeat (or step) of a result file, from 0")
    parser.add_argument("--ipc", type=int, metavar="N", help="images per class, where labels are implied by order")
    parser.add_argument("--labels", metavar="PLACE", help="a label file, a soft-label file or a relabelled tree")
    parser.add_argument("--profile", choices=PROFILES, help="the pixel space, where it is known better than detected")
    parser.add_argument("--counts", metavar="FILE.csv", help="original training images of each class: class, count")
    parser.add_argument("--reference", metavar="PLACE", help="real images to compare with, kept elsewhere")
    parser.add_argument("--test", metavar="PLACE", help="real images to test students on, kept elsewhere")
    parser.add_argument("--format", choices=FORMATS, help="the format, where it is known better than recognised")


def opening_options(given: argparse.Namespace) -> OpenOptions:
    return OpenOptions(**{option.name: getattr(given, option.name) for option in fields(OpenOptions)})


def check_apart(given: argparse.Namespace) -> None:
    """Raises ImpossibleRequest where ``--out`` lies in a folder that is read: the set, or what is named beside it."""
    named = [("the set itself", given.path), ("the set itself", given.labels)]
    named += [(f"the folder of --{name}", getattr(given, name)) for name in ("reference", "test")]
    named += [("the folder of --derived", folder) for folder in getattr(given, "derived", ())]
    for what, place in named:
        if place is not None:
            check_outside(given.out, Path(place), what)


def name_and_value(text: str) -> tuple[str, str]:
    """A ``--param``. Raises ImpossibleRequest where it is none."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ImpossibleRequest(f"--param takes NAME=VALUE, not '{text}'.")
    return name, value


def report_errors(command: Command) -> Command:
    """Exit code 2 and one sentence on stderr for every StillroomError; quiet on Ctrl-C, on SIGTERM and on a closed pipe."""

    @functools.wraps(command)
    def reporting(arguments: list[str] | None = None) -> int:
        try:
            with _stopped_in_order():
                return command(arguments)
        except StillroomError as error:
            print(one_line(str(error)), file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    return reporting


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """A request to end (SIGTERM: kill, timeout, a cluster's time limit) ends as Ctrl-C does, so that nothing half-written
    stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)

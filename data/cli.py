"""What the command lines share: the options that open a set, and errors as one sentence."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from dataclasses import fields

from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, StillroomError
from data.formats import FORMATS
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


def name_and_value(text: str) -> tuple[str, str]:
    """A ``--param``. Raises ImpossibleRequest where it is none."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ImpossibleRequest(f"--param takes NAME=VALUE, not '{text}'.")
    return name, value


def report_errors(command: Command) -> Command:
    """Exit code 2 and one sentence on stderr for every StillroomError; quiet on Ctrl-C and on a closed pipe."""

    @functools.wraps(command)
    def reporting(arguments: list[str] | None = None) -> int:
        try:
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

"""Stillroom's data room: what a distilled set is, how it is read, kept, changed and written."""

from data.distilled_set import DistilledSet, OpenOptions
from data.errors import StillroomError
from data.formats import open_set

__all__ = ["DistilledSet", "OpenOptions", "StillroomError", "open_set"]

"""The one kind of error people are meant to read."""


class StillroomError(Exception):
    """One clear sentence: what is wrong, where, and what to do about it.

    The commands print it and exit with code 2; the pages show it. Anything else that is raised is a bug.
    """


class UnreadableInput(StillroomError):
    """A file or folder that is not what it claims to be, or not what Stillroom can open."""


class ImpossibleRequest(StillroomError):
    """A readable set was asked for something that it cannot give."""

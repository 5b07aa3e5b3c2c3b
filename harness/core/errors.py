"""Errors that end a command, each with the exit status that a shell sees."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of every verb."""

    OK = 0
    FAIL = 1
    USAGE = 2
    INVALID = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130


class MembenchError(Exception):
    """A problem told to the user in one message, with what to try next.

    Attributes:
        status: the exit status of the command that it ends.
    """

    status = Exit.INVALID

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MembenchError):
    """The command line or a file named by it cannot be used."""

    status = Exit.USAGE


class StackError(MembenchError):
    """The system under test could not be brought up or be reached: nothing was measured."""


class LoadError(MembenchError):
    """The generator could not do its work: what it measured cannot be trusted."""

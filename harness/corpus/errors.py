"""What can be wrong with a corpus."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import UsageError


class CorpusError(UsageError):
    """A corpus, or something asked of one, that cannot be used.

    Attributes:
        path: The file at fault, if one is.
        line: Its line, counted from 1, if one is.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, hint: str = "", path: Path | None = None, line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(where + message, hint=hint)

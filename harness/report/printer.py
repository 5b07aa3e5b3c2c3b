"""What every report on a terminal is printed with: widths, tables without frames, footnotes, ASCII where need be."""

from textwrap import wrap
from typing import Final

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

LOG_WIDTH: Final = 100
"""Least width where no terminal tells its own: CI logs do not wrap at 80."""

# One rule below the heads and nothing else, in ASCII, since logs are copied into mails and issues.
_RULED: Final = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_ASCII: Final = str.maketrans({"µ": "u", "–": "-", "≤": "<=", "≥": ">=", "·": "-", "…": "..."})


class Printer:
    """Prints lines and tables that read the same in a CI log.

    Attributes:
        width: in columns; LOG_WIDTH at least where the console is no terminal.
        wide: whether it is LOG_WIDTH or more.
        notes: the footnotes so far.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        if not console.is_terminal:
            console.width = max(console.width, LOG_WIDTH)
        self.width = console.width
        self.wide = self.width >= LOG_WIDTH
        self.unicode = console.encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32")
        self.notes: list[str] = []

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        self.show(Text(self.encodable(text), style=style))

    def show(self, what: Text | Table) -> None:
        """Print what rich can, within the width."""
        self.console.print(what, width=self.width, highlight=False, markup=False, crop=False)

    def encodable(self, text: str) -> str:
        """The text in what the console can print: a CI log in plain ASCII must not end the report in an error."""
        if self.unicode:
            return text
        return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")

    def mark(self, note: str) -> str:
        """The number of a footnote, the same one for the same words."""
        if note not in self.notes:
            self.notes.append(note)
        return f"[{self.notes.index(note) + 1}]"

    def table(self, *heads: str, left: int = 1) -> Table:
        """A table without rows; its first `left` columns are aligned to the left."""
        table = Table(box=_RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for index, head in enumerate(heads):
            # Only the first column may wrap; a figure torn in two would be misread.
            table.add_column(
                self.encodable(head),
                justify="left" if index < left else "right",
                no_wrap=index > 0,
                overflow="fold",
            )
        return table

    def row(self, table: Table, *cells: str | Text, style: str = "") -> None:
        """Add a row, in what the console can print."""
        table.add_row(*(cell if isinstance(cell, Text) else Text(self.encodable(cell)) for cell in cells), style=style)

    def footnotes(self) -> None:
        """All that `mark` numbered."""
        for index, note in enumerate(self.notes, start=1):
            for line in wrap(f"[{index}] {note}", self.width, subsequent_indent="    "):
                self.line(line)

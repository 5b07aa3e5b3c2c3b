"""An outcome as a table on a terminal or in a CI log."""

from textwrap import wrap
from typing import Final

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.core.verdict import Verdict
from harness.selftest.expected import MIDDLE_MS, SHARE, TAIL_MS
from harness.selftest.run import Outcome

_RULED: Final = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_ASCII: Final = str.maketrans({"µ": "u", "–": "-", "≤": "<=", "≥": ">=", "·": "-"})
_STYLES: Final = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INVALID: "bold magenta"}
_MEANING: Final = {
    Verdict.PASS: "the instrument measures right on this machine",
    Verdict.FAIL: "the instrument is wrong: a figure is off, and nothing on this machine explains it",
    Verdict.INVALID: "a figure was spoilt, and not by an error that repeats: run it again when less else runs",
}


def headline(outcome: Outcome) -> str:
    """The verdict in words."""
    if outcome.interrupted:
        return "interrupted: what follows is what was checked until then"
    return f"{outcome.verdict}: {_MEANING.get(outcome.verdict, '')}"


def print_table(outcome: Outcome, console: Console) -> None:
    """Print an outcome: each case with its checks, and the reasons of what did not pass as footnotes."""
    plain = not console.encoding.lower().replace("-", "").startswith("utf")
    width = console.width

    def text(words: str, style: str = "") -> Text:
        return Text(words.translate(_ASCII).encode("ascii", "replace").decode() if plain else words, style)

    def line(words: str = "", style: str = "") -> None:
        console.print(text(words, style), width=width, highlight=False, crop=False)

    table = Table(box=_RULED, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head, justify in (("figure", "left"), ("expected", "right"), ("measured", "right"), ("verdict", "left")):
        table.add_column(head, justify=justify, overflow="fold", no_wrap=head == "verdict")  # type: ignore[arg-type]
    notes: list[str] = []
    case = ""
    for row in outcome.rows:
        if row.case != case:
            case = row.case
            again = " (second attempt)" if row.attempt > 1 else ""
            table.add_row(text(f"{case}{again}", "bold"))
        if row.reason and row.reason not in notes:
            notes.append(row.reason)
        mark = f" [{notes.index(row.reason) + 1}]" if row.reason else ""
        said = text(
            "–" if row.verdict is None else f"{row.verdict}{mark}", _STYLES.get(row.verdict or Verdict.PASS, "")
        )
        check = row.check
        table.add_row(text(f"  {check.figure}"), text(check.expected), text(check.measured), said)
    line(headline(outcome), "bold")
    line(_tally(outcome))
    line()
    console.print(table, width=width, highlight=False, crop=False)
    line()
    for number, note in enumerate(notes, start=1):
        for part in wrap(f"[{number}] {note}", width, subsequent_indent="    "):
            line(part)
    for title in outcome.not_run:
        line(f"Not run: {title}")
    line(
        f"A time passes within {SHARE:.0%} and {TAIL_MS:g} ms of what is expected (a median {MIDDLE_MS:g} ms), "
        "a count if it is exact."
    )
    line("A range is that of a backlog gone at once and one drained as fast as the swamped generator sends.")


def _tally(outcome: Outcome) -> str:
    verdicts = [row.verdict for row in outcome.rows if row.verdict is not None]
    parts = [f"{verdicts.count(one)} {one}" for one in _STYLES if one in verdicts]
    return f"{len(verdicts)} checks in {outcome.seconds:.0f} s: {', '.join(parts) or 'none'}"

"""What holds for all outputs together."""

import html as entities
import io
import re

import pytest
from lxml import etree
from rich.console import Console

from harness.core.verdict import Verdict
from harness.report.figures import target_rows
from harness.report.html import html
from harness.report.junit import junit
from harness.report.markdown import markdown
from harness.report.plots import all_plots
from harness.report.terminal import print_report
from harness.report.write import write_reports

from .runs import FLOOR_REASON, INVALID_REASONS


def terminal(record, width=80, **options):
    out = io.StringIO()
    verbose = options.pop("verbose", False)
    defaults = {"file": out, "width": width, "force_terminal": True, "no_color": True, "color_system": None}
    console = Console(**{**defaults, **options})
    print_report(record, console, verbose=verbose)
    return out.getvalue()


def flat(text):
    """Without line breaks, markup and escapes, as a reader sees it."""
    return re.sub(r"\s+", " ", re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", entities.unescape(text)))


def all_texts(record):
    return {
        "terminal": flat(terminal(record)),
        "markdown": flat(markdown(record, {})),
        "html": flat(html(record, {})),
        "junit": flat(junit(record).decode()),
    }


@pytest.mark.parametrize("reason", [*INVALID_REASONS, FLOOR_REASON, "the phase was repeated once and lagged again"])
def test_every_reason_not_to_believe_a_figure_is_in_every_output(invalid, reason):
    for name, text in all_texts(invalid).items():
        assert reason in text, name


def test_no_two_outputs_disagree_on_a_target(record):
    for name, text in all_texts(record).items():
        for row in target_rows(record):
            title = row.id if name == "junit" else row.title.split()[0]
            assert title in text, name
            assert row.value in text, name
            assert row.verdict in text or (name == "junit" and row.verdict is Verdict.NOT_MEASURED), name


def test_shortcomings_come_first(interrupted, empty):
    for text in all_texts(interrupted).values():
        assert "This run was interrupted" in text
        assert "Not run: warm_query, mixed." in text
    for text in all_texts(empty).values():
        assert "no space left on device" in text
    assert html(interrupted, {}).index("was interrupted") < html(interrupted, {}).index("<h1>")
    assert terminal(interrupted).startswith("! This run was interrupted")


def test_a_percentile_that_the_sample_does_not_carry_is_a_dash_with_its_reason(healthy):
    for text in (terminal(healthy), markdown(healthy, {}), html(healthy, {})):
        assert "P99.9 needs 10,000 samples" in text
        assert "P99 needs 1,000 samples" in text


def test_a_percentile_among_requests_that_never_ended_is_no_figure(failing):
    assert ">37.0 ms" in terminal(failing)
    assert "among the censored requests" in terminal(failing)


def test_the_same_record_gives_the_same_bytes(record, tmp_path):
    first = {p.name: p.read_bytes() for p in write_reports(record, tmp_path / "a")}
    again = {p.name: p.read_bytes() for p in write_reports(record, tmp_path / "b")}
    assert first == again


def test_reports_are_written_whole_or_not_at_all(healthy, tmp_path, monkeypatch):
    paths = write_reports(healthy, tmp_path)
    assert [p.name for p in paths[:3]] == ["report.html", "report.md", "junit.xml"]
    assert all(p.exists() for p in paths)
    before = paths[0].read_bytes()

    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_reports(healthy, tmp_path)
    assert paths[0].read_bytes() == before
    assert not list(tmp_path.rglob("*.part"))


def test_markdown_links_each_plot_that_is_written(healthy, tmp_path):
    write_reports(healthy, tmp_path)
    links = re.findall(r"\]\((plots/[^)]+)\)", (tmp_path / "report.md").read_text())
    assert sorted(links) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.svg"))


def test_hostile_text_is_only_text(hopeless):
    page = html(hopeless)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page + terminal(hopeless) + markdown(hopeless, {})
    assert "[red]" in terminal(hopeless)
    assert not re.search(r"(?<!\\)<script", markdown(hopeless, {}))


def test_the_page_needs_nothing_from_outside(record):
    page = html(record)
    tree = etree.fromstring(page.encode(), etree.HTMLParser())
    assert not tree.xpath("//script | //link | //img | //iframe | //object | //use[not(starts-with(@*, '#'))]")
    for value in tree.xpath("//@href | //@src | //@*[name()='xlink:href']"):
        assert value.startswith("#")
    assert not re.search(r"url\((?!#)|@import", page)


def test_links_within_the_page_lead_somewhere(record):
    tree = etree.fromstring(html(record).encode(), etree.HTMLParser())
    ids = set(tree.xpath("//@id"))
    assert {value[1:] for value in tree.xpath("//a/@href")} <= ids


def test_every_plot_is_a_picture_of_its_own(record):
    plots = all_plots(record)
    assert plots == all_plots(record)
    for svg in plots.values():
        tree = etree.fromstring(svg.encode())
        assert tree.tag == "{http://www.w3.org/2000/svg}svg"
        assert b"metadata" not in svg.encode()


def test_a_log_in_plain_ascii_still_gets_its_report(record):
    class Ascii(io.StringIO):
        encoding = "ascii"

    out = Ascii()
    print_report(record, Console(file=out, width=80), verbose=True)
    assert out.getvalue().isascii()


def test_a_log_that_is_no_terminal_is_at_least_100_wide(healthy):
    out = io.StringIO()
    print_report(healthy, Console(file=out, width=80))
    assert "floor" in out.getvalue().splitlines()[3]
    assert max(map(len, out.getvalue().splitlines())) <= 100


def test_at_80_columns_no_line_is_longer(record):
    assert max(map(len, terminal(record, verbose=True).splitlines())) <= 80


def test_verdicts_stand_in_words_without_colour(healthy, failing, invalid):
    for one in (healthy, failing, invalid):
        assert terminal(one).startswith(str(one.verdict))
        coloured = terminal(one, no_color=False, color_system="standard")
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == terminal(one)

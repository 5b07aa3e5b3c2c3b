"""What a gate's reports say. Synthetic records; see gates.py."""

import html as entities
import io
import itertools
import re
import shlex
from pathlib import Path

import msgspec
import pytest
from lxml import etree
from matplotlib.figure import Figure
from rich.console import Console

from harness.core import gate as core
from harness.core.gate import Compared, GateVerdict
from harness.report.gate.bars import WIDTH, interval_bars
from harness.report.gate.comment import LIMIT, MARKER, comment, summary
from harness.report.gate.curves import curve_plot, pooled
from harness.report.gate.dots import pairs_plot
from harness.report.gate.forest import forest_plot, ratio_axis
from harness.report.gate.junit import junit
from harness.report.gate.ratios import interval, share, worse
from harness.report.gate.rows import metric_rows, pair_rows
from harness.report.gate.terminal import print_gate
from harness.report.gate.words import headline, progress_line, reproduce, tally
from harness.report.gate.write import write_gate

from . import gates
from .test_golden import check

NAMES = [make.__name__ for make in gates.ALL]


@pytest.fixture(scope="session")
def records():
    return {make.__name__: make() for make in gates.ALL}


@pytest.fixture(params=NAMES)
def record(request, records):
    return records[request.param]


@pytest.fixture(scope="session")
def written(records, tmp_path_factory):
    """All files of three records, which cost most of this module's time."""
    folders = {}
    for name in ("regression", "invalid", "hostile"):
        folders[name] = tmp_path_factory.mktemp(name)
        write_gate(records[name], folders[name])
    return folders


def terminal(record, width=100, **options):
    out = io.StringIO()
    console = Console(**{"file": out, "width": width, "force_terminal": True, "color_system": None, **options})
    print_gate(record, console)
    return out.getvalue()


def flat(text):
    """Without line breaks, markup and escapes, as a reader sees it."""
    return re.sub(r"\s+", " ", re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", entities.unescape(text)))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "hostile"])
def test_golden(name, records):
    check(f"gate-{name}.txt", terminal(records[name]))
    check(f"gate-{name}.md", comment(records[name]))


def test_no_two_outputs_disagree(record, written):
    texts = {"terminal": terminal(record), "junit": junit(record).decode()}
    if not record.id.startswith("<"):
        texts["comment"] = comment(record)
    if (page := written.get(record.id.removeprefix("2026-05-04-"))) is not None:
        texts["html"] = (page / "gate.html").read_text()
    for name, text in texts.items():
        said = flat(text)
        assert flat(headline(record))[:40] in said, name
        for row in (*metric_rows(record, gated=True), *metric_rows(record, gated=False)):
            for part in (flat(row.name), row.worse, row.interval, row.base, row.head, row.p):
                assert part in said, (name, part)


def test_it_follows_the_schema(record):
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))
    schema.assertValid(etree.fromstring(junit(record)))


def cases(record):
    return {case.get("name"): case[0].tag for case in etree.fromstring(junit(record)).iter("testcase")}


def test_each_verdict_has_its_outcome(records):
    assert cases(records["regression"]) == {
        "verdict": "system-out",
        "search P50": "failure",
        "search P99": "failure",
        "create P50": "system-out",
        "search rate": "failure",
        "create P99": "system-out",
        "service CPU per request": "system-out",
    }
    assert cases(records["inconclusive"])["search P99"] == "skipped"
    assert cases(records["waived"])["search P50"] == "system-out"
    spoilt = msgspec.structs.replace(records["waived"].metrics[0], verdict=GateVerdict.INVALID)
    doubted = msgspec.structs.replace(records["clear"], verdict=GateVerdict.INVALID, metrics=[spoilt])
    assert cases(doubted) == {"verdict": "system-out", "search P50": "error"}
    assert cases(records["invalid"]) == {"verdict": "error"}


def test_what_is_wrong_with_the_whole_comes_first(records):
    assert terminal(records["interrupted"]).startswith("! This gate was interrupted")
    assert cases(records["interrupted"])["verdict"] == "error"
    assert "No module named 'pgvector'" in comment(records["invalid"])


def test_a_comment_is_found_by_its_first_line_and_fits(record):
    text = comment(record)
    assert text.splitlines()[0] == MARKER
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>")
    assert sum(line.startswith("```") for line in text.splitlines()) % 2 == 0
    assert MARKER not in summary(record)


def test_what_does_not_fit_is_left_out_whole(records):
    many = msgspec.structs.replace(records["regression"], notes=["x" * 500] * 200)
    text = comment(many)
    assert len(text) <= LIMIT
    assert "the whole is in `gate.html`" in text
    assert "How to reproduce it" in text
    assert "What was compared" not in text


def test_bars_stand_between_what_they_are_read_by(records):
    record = records["regression"]
    gated = [result for result in record.metrics if result.metric.gated]
    *bars, labels = interval_bars(gated, record.rules.bound)
    indent = len("search rate") + 2
    zero, bound = labels.index("1×") + 1, labels.index("1.15×") + 2
    for result, bar in zip(gated, bars, strict=True):
        estimate = bar.index("╋")
        assert (estimate > zero) == (result.ratio > 1)
        assert (estimate > bound) == (result.ratio > 1.15)
        assert bar[:indent].strip() == result.metric.name
        assert bar[indent + WIDTH :].strip() == result.verdict
    assert {bar[zero] for bar in bars} <= set("│├┤─╋┼")


def test_bars_that_go_on_are_arrows(records):
    (bar, _) = interval_bars(records["hostile"].metrics, 1.15)
    assert "  <──" in bar
    assert "──>" in bar
    assert "╋" not in bar
    unknown = next(result for result in records["inconclusive"].metrics if result.high is None)
    assert ">" in interval_bars([unknown], 1.15)[0]


def test_the_command_is_the_one_given_with_bases_commit_and_the_seed(records):
    revision = gates.BASE.revision
    assert reproduce(records["clear"]) == f"membench gate --base {revision} --seed 7"
    words = ["membench", "gate", "--base=main", "--pairs", "24", "--seed", "3", "--waivers", "w.toml"]
    given = msgspec.structs.replace(records["clear"].provenance, command=words)
    record = msgspec.structs.replace(records["clear"], provenance=given)
    assert reproduce(record) == f"membench gate --pairs 24 --waivers w.toml --base {revision} --seed 7"


def test_a_command_with_services_of_its_own_has_no_revision_added(records):
    record = msgspec.structs.replace(records["clear"])
    given = ["membench", "gate", "--base-command", "old {port}", "--head-command", "new {port}"]
    record.provenance = msgspec.structs.replace(record.provenance, command=given)
    record.sides = {"base": Compared("old {port}"), "head": Compared("new {port}")}
    assert reproduce(record) == shlex.join([*given, "--seed", str(record.seed)])


def test_waivers_are_said(records):
    text = flat(terminal(records["waived"]))
    assert "waived until 2026-12-01: the new ranking costs that much" in text
    assert "its waiver expired on 2026-04-01: to be mended" in text


def test_nothing_is_said_twice(records):
    for text in (terminal(records["regression"]), summary(records["regression"])):
        assert flat(text).count(records["regression"].reasons[0]) == 1


def test_progress_in_a_line(records):
    line = progress_line(records["regression"])
    assert re.fullmatch(
        r"pair 22 of 24 \(2 spoilt\): search \w+ \+\d\d% \(\+\d+% to \+\d+%\), search \w+ \+\d\d% .*, 1 more, "
        r"others within \d%",
        line,
    )
    assert len(line) <= 120
    assert re.fullmatch(r"pair 12 of 24: all within \d%", progress_line(records["clear"]))


def test_progress_before_there_are_results_goes_by_medians(records):
    early = msgspec.structs.replace(records["regression"], metrics=[], pairs=records["regression"].pairs[:4])
    assert re.fullmatch(
        r"pair 4 of 24: search \w+ \+\d\d%, search \w+ \+\d\d%, 1 more, others within \d%", progress_line(early)
    )
    assert progress_line(msgspec.structs.replace(early, pairs=[])) == "pair 0 of 24"


def test_pairs_are_counted(records):
    assert tally(records["regression"]) == (
        "22 of 24 pairs count (2 spoilt), 4 rounds, decided at look 2 of 2, 9 min 33 s"
    )
    assert tally(records["invalid"]) == "no pair was measured, 31 s"


LATENCY, RATE = gates.RULES.metrics[0], gates.RULES.metrics[3]


@pytest.mark.parametrize(
    ("metric", "ratio", "text"),
    [
        (LATENCY, 1.182, "+18.2%"),
        (LATENCY, 0.93, "-7.0%"),
        (LATENCY, 1.0, "0.0%"),
        (LATENCY, 0.9999, "0.0%"),
        (LATENCY, 24, "24.0×"),
        (LATENCY, None, "–"),
        (RATE, 1.25, "+20.0%"),
        (RATE, 0.8, "-25.0%"),
    ],
)
def test_worse_is_what_dividing_the_two_figures_gives(metric, ratio, text):
    assert worse(metric, ratio) == text


def test_intervals_that_are_open():
    assert interval(LATENCY, 1.1, None) == "+10.0% or more"
    assert interval(LATENCY, None, 1.1) == "+10.0% or less"
    assert interval(LATENCY, None, None) == "–"
    assert (share(LATENCY, 1.15), share(LATENCY, 1.075), share(RATE, 1.15)) == ("15%", "7.5%", "13%")


def test_at_80_columns_no_line_is_longer_and_a_log_is_100_wide(record):
    assert max(map(len, terminal(record, width=80).splitlines())) <= 80
    out = io.StringIO()
    print_gate(record, Console(file=out, width=80))
    assert max(map(len, out.getvalue().splitlines())) <= 100


def test_a_log_in_plain_ascii_still_gets_its_report(record):
    class Ascii(io.StringIO):
        encoding = "ascii"

    out = Ascii()
    print_gate(record, Console(file=out, width=80))
    assert out.getvalue().isascii()


def test_colour_only_repeats_what_the_words_say(records):
    coloured = terminal(records["regression"], color_system="standard")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == terminal(records["regression"])


def test_files_are_written_and_the_same_again(written, records, tmp_path):
    names = ["comment.md", "gate.html", "gate.svg", "junit.xml", "summary.md"]
    for folder in written.values():
        assert sorted(path.name for path in folder.iterdir()) == names
    paths = write_gate(records["invalid"], tmp_path / "new")
    assert paths[0].name == "gate.html"
    assert all(path.read_bytes() == (written["invalid"] / path.name).read_bytes() for path in paths)


def test_the_page_needs_nothing_from_outside_and_its_links_lead_somewhere(written):
    for folder in written.values():
        page = (folder / "gate.html").read_text()
        tree = etree.fromstring(page.encode(), etree.HTMLParser())
        assert not tree.xpath("//script | //link | //img | //iframe | //object | //use[not(starts-with(@*, '#'))]")
        assert not re.search(r"url\((?!#)|@import", page)
        assert {link[1:] for link in tree.xpath("//a/@href")} <= set(tree.xpath("//@id"))


def test_hostile_text_is_only_text(written, records):
    page = (written["hostile"] / "gate.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    text = comment(records["hostile"])
    assert "\x1b" not in page + terminal(records["hostile"]) + text
    assert not re.search(r"(?<!\\)<script", re.sub(r"^```.*?^```|`[^`]*`\.$", "", text, flags=re.S | re.M))


def test_every_pair_is_a_mark_with_its_figures_and_doubts(written, records):
    tree = etree.fromstring((written["regression"] / "gate.html").read_bytes(), etree.HTMLParser())
    titles = tree.xpath("//figure//title/text()")
    record = records["regression"]
    gated = sum(metric.gated for metric in record.rules.metrics)
    assert len(titles) == 3 * len(record.pairs) * gated  # its ratio, base's figure and head's
    (metric, *_) = record.rules.metrics
    for row in pair_rows(record, (metric,)):
        ((base, head, change),) = row.values
        said = "; ".join([f"pair {row.number}: {change}, base {base}, head {head}", *row.doubts])
        assert titles.count(said) == 3
    assert any("the hypervisor took 23% of the CPU" in title for title in titles)


def test_nothing_to_draw_says_so(records):
    record = records["invalid"]
    assert "nothing was compared" in forest_plot(record)
    assert "no request of a pair that counts" in curve_plot(record, pooled(record)[0])
    (metric, *_) = record.rules.metrics
    unmeasured = core.MetricResult(metric, GateVerdict.INVALID, 0)
    assert "no pair has a figure" in pairs_plot(record, unmeasured)


def test_a_record_that_was_saved_gives_the_same_report(records, tmp_path):
    for name in ("clear", "invalid"):
        core.save(records[name], tmp_path)
        again = core.load(tmp_path)
        assert comment(again) == comment(records[name])
        assert terminal(again) == terminal(records[name])


@pytest.mark.parametrize(("low", "high"), [(0.25, 4), (0.65, 4), (0.75, 2.6), (0.65, 1.55), (0.85, 1.2)])
def test_ratios_on_an_axis_are_labelled_apart_from_each_other(low, high):
    figure = Figure(figsize=(8.6, 5))
    axes = figure.add_axes((0.23, 0.1, 0.46, 0.8))
    ratio_axis(axes, low, high)
    figure.draw_without_rendering()
    labels = sorted(axes.get_xticklabels(), key=lambda label: label.get_position())
    boxes = [label.get_window_extent() for label in labels]
    assert "1×" in [label.get_text() for label in labels]
    assert len(labels) >= 4
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))

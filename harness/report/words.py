"""What a report says in sentences: the headline, what is missing, the load, the next step, the glossary."""

import shlex
from collections import Counter
from typing import Final

from harness.core.gate import GateRecord
from harness.core.record import RunRecord, ScenarioResult
from harness.core.scenario import OpenArrivals, Scenario
from harness.core.verdict import Verdict
from harness.report.units import clean, count, offered, seconds

GLOSSARY: Final = (
    ("response", "From when a request was due to its whole answer: what a user feels. Judged unless said."),
    (
        "service",
        "From when a request was sent to its whole answer: what the server did, seen from the client.",
    ),
    (
        "lag",
        "From when a request was due to when it was sent: what the generator did, not the server.",
    ),
    ("server", "What the service itself reports for the request, in its Server-Timing header."),
    (
        "floor",
        "The same load in the same run on an endpoint that does nothing: no figure is lower here.",
    ),
    (
        "open, closed",
        "Open: requests come at planned times. Closed: users wait for an answer, think, ask.",
    ),
    ("P99", "99% of the requests were at least this fast. Shown only where ten samples lie beyond it."),
    (
        "95% CI",
        "Where a percentile may lie, were the phase measured again just so: from its seconds, drawn anew in blocks.",
    ),
    ("worst second", "The second in which a request was due that waited longest of all."),
    ("censored", "Sent, but not answered by the end of the drain: slower than anything recorded."),
    ("skipped", "Due, but not sent, since too many were in flight. A figure with skips cannot pass."),
    ("PASS", "The target is met."),
    ("WARN", "The target is missed, the critical threshold is kept."),
    ("FAIL", "The critical threshold is crossed."),
    ("INVALID", "The figure cannot be trusted, for the reason given. It is neither good nor bad news."),
    ("not measured", "This run did not measure it. Never a PASS."),
)
"""The words of a report and what they mean."""

_SERVED: Final = {
    Verdict.PASS: "every operation was served; no target was judged",
    Verdict.WARN: "more requests of an operation failed than should; no target was judged",
    Verdict.FAIL: "too many requests of an operation failed",
    Verdict.INVALID: "the figures cannot be trusted; no target was judged",
}
_MEANING: Final = {
    Verdict.PASS: "every judged target is met",
    Verdict.WARN: "a target is missed, every critical threshold is kept",
    Verdict.FAIL: "a critical threshold is crossed",
    Verdict.INVALID: "not every figure can be trusted",
    Verdict.NOT_MEASURED: "nothing was measured",
}


def headline(record: RunRecord) -> str:
    """The verdict of the run in words."""
    if any(target.verdict == record.verdict for target in record.targets):
        return f"{record.verdict}: {_MEANING[record.verdict]}"
    if not record.scenarios:
        measured = "only micro-benchmarks ran; nothing was judged" if record.micro else "nothing was measured"
        return f"{record.verdict}: {measured}"
    return f"{record.verdict}: {_SERVED.get(record.verdict, _MEANING[record.verdict])}"


def tally(record: RunRecord) -> str:
    """How many targets have each verdict: "10 targets: 7 PASS, 1 FAIL, 2 not measured"."""
    seen = Counter(target.verdict for target in record.targets)
    if not seen:
        return "no targets"
    total = len(record.targets)
    parts = ", ".join(f"{seen[verdict]} {verdict}" for verdict in Verdict if seen[verdict])
    return f"{total} target{'s' if total != 1 else ''}: {parts}"


def shortcomings(record: RunRecord) -> list[str]:
    """What is missing or spoilt about the run as a whole; empty for a complete one."""
    lines = []
    if record.status == "failed":
        lines.append(f"This run failed: {clean(record.failure) or 'no reason was recorded'}")
    elif record.status == "interrupted":
        lines.append("This run was interrupted: what follows is what was measured until then.")
    if record.failure and record.status != "failed":
        lines.append(clean(record.failure))
    for result in record.scenarios:
        if result.status != "complete":
            planned = result.scenario.phases.measure
            why = f" {clean(result.failure)}" if result.failure else ""
            lines.append(f"{result.name} {_ended(result)}: {seconds(result.seconds)} of {seconds(planned)}.{why}")
    if record.not_run:
        lines.append(f"Not run: {', '.join(clean(name) for name in record.not_run)}.")
    if record.status == "complete" and not record.scenarios and not record.micro:
        lines.append("This run measured nothing.")
    return lines


def run_reasons(record: RunRecord) -> list[str]:
    """The reasons that the record gives for the verdict of the whole run."""
    return [clean(reason) for reason in record.reasons]


def repetition(result: ScenarioResult) -> str:
    """Why a phase was repeated; empty for a first attempt."""
    if result.attempt <= 1:
        return ""
    why = "; ".join(clean(reason) for reason in result.repeated_because)
    return f"Attempt {result.attempt}; the one before was not believed{f': {why}' if why else ''}."


def load(scenario: Scenario) -> str:
    """The load offered, in words."""
    arrivals = scenario.arrivals
    if not isinstance(arrivals, OpenArrivals):
        low, high = arrivals.think
        return f"closed: {count(arrivals.users)} users, thinking {low:g} to {high:g} s"
    spacing = {
        "poisson": "independent callers (Poisson)",
        "uniform": "evenly spaced",
        "ramp": f"a ramp from {offered(arrivals.start_rate)}",
    }[arrivals.process]
    floor = ", as many no-op requests beside" if scenario.floor else ""
    new = ", each over a new connection" if arrivals.connections == "new" else ""
    stages = f" at most, in stages ({_stages(scenario, arrivals)})" if arrivals.stages else ""
    return f"open: {offered(arrivals.rate)}{stages}, {spacing}{new}{floor}"


def _stages(scenario: Scenario, arrivals: OpenArrivals) -> str:
    return ", ".join(
        f"{offered(piece.first)}{'' if piece.steady else f' to {offered(piece.last)}'} for {seconds(piece.seconds)}"
        for piece in arrivals.pieces(scenario.phases.measure)
    )


def phases(result: ScenarioResult) -> str:
    """The phases that it really had, in words."""
    warmup = result.warmup.seconds if result.warmup else result.scenario.phases.warmup
    planned = result.scenario.phases.measure
    cut = f" of {seconds(planned)}" if result.status != "complete" else ""
    pressed = f"; pressure on the host: {clean(result.pressure)}" if result.pressure else ""
    return f"{seconds(result.seconds)}{cut} measured after {seconds(warmup)} of warm-up{pressed}"


def next_step(record: RunRecord) -> str:
    """What to do next, in a sentence."""
    hints = [hint for target in record.targets for hint in target.hints]
    hints += [hint for result in record.scenarios for said in result.verdicts.values() for hint in said.hints]
    if record.status == "failed":
        return "Mend what failed, then run the same command again."
    if hints and record.verdict is Verdict.INVALID:
        return clean(hints[0])
    if record.status == "interrupted":
        return "Run the same command again and let it end."
    if record.verdict in (Verdict.FAIL, Verdict.WARN):
        return _to_mend(record)
    if record.verdict is Verdict.PASS:
        return f"See the figures behind it in report.html, or: membench show {clean(record.id)} --json"
    return "Run a suite that measures at least one target."


def _to_mend(record: RunRecord) -> str:
    missed = [target for target in record.targets if target.verdict in (Verdict.FAIL, Verdict.WARN)]
    if not missed or any(target.clock for target in missed):
        where = "whether the server clock or the wait before it grew"
    else:
        where = f"how it is measured: {', '.join(clean(target.title) for target in missed)}"
    return f"See in report.html {where}, then mend it and run the same command again."


def command(record: RunRecord | GateRecord) -> str:
    """The command of the run or gate as a shell would take it."""
    return clean(shlex.join(record.provenance.command)) or "unknown"


def _ended(result: ScenarioResult) -> str:
    return "was interrupted" if result.status == "interrupted" else "failed"

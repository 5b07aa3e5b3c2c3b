"""Gates' records as a judge would leave them, from seeded pairs of blocks."""

import math
from datetime import date

import numpy as np

from harness.core.gate import SIDES, Block, Compared, GateRecord, GateVerdict, MetricResult, Pair
from harness.core.histogram import Histogram
from harness.core.record import Setting
from harness.core.recorder import Tally
from harness.core.rules import Metric, Rules, Waiver
from harness.core.scenario import ClosedArrivals, OpenArrivals, Operation, Phases, Scenario

from .runs import provenance

MIX = Scenario(
    name="gate_mix",
    title="Searches and creates together",
    description="",
    arrivals=OpenArrivals(rate=300),
    operations=(Operation("search", "search"), Operation("create", "create")),
    phases=Phases(warmup=0.8, measure=6.8),
)
SEARCH = Scenario(
    name="gate_search",
    title="Searches at saturation",
    description="",
    arrivals=ClosedArrivals(users=8, think=(0, 0)),
    operations=(Operation("search", "search"),),
    phases=Phases(warmup=0.3, measure=1.5),
)


def latency(operation, percentile, *, gated=True, floor_us=100.0):
    return Metric(
        f"{operation} P{percentile}", "gate_mix", "latency", operation, percentile, gated=gated, floor_us=floor_us
    )


RULES = Rules(
    looks=(12, 24),
    metrics=(
        latency("search", 50),
        latency("search", 99, floor_us=200),
        latency("create", 50),
        Metric("search rate", "gate_search", "rate", "search", gated=True),
        latency("create", 99, gated=False),
        Metric("service CPU per request", "gate_mix", "cpu", floor_us=20),
    ),
)
BASE = Compared(
    what="origin/main",
    revision="4f2a9c1d8e7b6a5f4e3d2c1b0a9f8e7d6c5b4a39",
    service="reference 0.1.0",
    python="3.11.9",
    schema="c0ffee",
    environment="9c" * 32,
)
HEAD = Compared(
    what=".",
    revision="8b1c0d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c+",
    service="reference 0.2.0",
    python="3.11.9",
    schema="c0ffee",
    environment="9c" * 32,
)
COMMAND = ("membench", "gate", "--base", "origin/main", "--out", "results/runs/gate")
MEDIANS = {"search": 2_400.0, "create": 1_100.0}


def block(side, scenario, rng, slower, noise):
    """One block; `slower` says by what each operation is slower than usual."""
    histograms, tallies, rates = {}, {}, {}
    for operation in scenario.operations:
        name = operation.name
        service = MEDIANS[name] * slower.get(name, 1.0) * rng.lognormal(0, noise) * rng.lognormal(0, 0.35, 300)
        histogram = Histogram()
        histogram.record(service)
        histograms[name] = {"response": histogram.encode()}
        tallies[name] = Tally(planned=300, sent=300, ok=300)
        rates[name] = 8e6 / float(service.mean())
    cpu = 0.6 * slower.get("create", 1.0) * rng.lognormal(0, noise)
    return Block(
        side=side,
        scenario=scenario.name,
        seconds=scenario.phases.measure,
        tallies=tallies,
        histograms=histograms,
        rates=rates,
        steal=0.012,
        service_cpu=cpu,
        drain=0.02,
    )


def measured(count, slower=None, *, spoilt=(), noise=0.05, seed=11):
    """Pairs whose head is slower by so much, per operation; some of them spoilt."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(1, count + 1):
        blocks, first = [], {}
        for scenario in (MIX, SEARCH):
            order = SIDES if rng.random() < 0.5 else SIDES[::-1]
            first[scenario.name] = order[0]
            blocks += [block(side, scenario, rng, slower or {} if side == "head" else {}, noise) for side in order]
        if number in spoilt:
            blocks[0].doubts = ["the hypervisor took 23% of the CPU"]
            blocks[0].steal = 0.23
        pair = Pair(number, (number - 1) // RULES.round_pairs + 1, first, blocks)
        pair.take_values(RULES.metrics)
        found.append(pair)
    return found


def result(record, metric, verdict, **more):
    """About what a judge says: the Hodges-Lehmann estimate, and an interval as wide as the pairs scatter."""
    logs = np.array([log for pair in record.counted if (log := pair.worse(metric)) is not None])
    sums = (logs[:, None] + logs)[np.triu_indices(len(logs))] / 2
    estimate, error = float(np.median(sums)), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    base, head = (float(np.median([pair.values[metric.name][side] for pair in record.counted])) for side in (0, 1))
    figures = {
        "ratio": math.exp(estimate),
        "low": math.exp(estimate - 2 * error),
        "high": math.exp(estimate + 2 * error),
        "upper": math.exp(estimate + 1.7 * error),
        "p": 0.0001 if verdict in ("REGRESSION", "WAIVED") else 0.61,
        "p_adjusted": 0.0004 if verdict in ("REGRESSION", "WAIVED") else 1.0,
        "base": base,
        "head": head,
        "detectable": 1.05 * math.exp(3 * error),
    }
    return MetricResult(metric=metric, verdict=verdict, pairs=len(logs), **{**figures, **more})


def gate(name, pairs, verdict, of=None, **changes):
    """A record; the metrics named in `of` have these verdicts, all others no regression."""
    values = {
        "id": f"2026-05-04-{name}",
        "created_at": "2026-05-04T09:00:00Z",
        "provenance": provenance(*COMMAND),
        "seed": 7,
        "rules": RULES,
        "sides": {"base": BASE, "head": HEAD},
        "blocks": {"gate_mix": MIX, "gate_search": SEARCH},
        "settings": [Setting("jit", "off", "planning short queries must not compile")],
        "memories": 20_000,
        "pairs": pairs,
        "verdict": verdict,
        "look": 0 if len(pairs) < 24 else 1,
        "seconds": 22.6 * len(pairs) + 31,
    }
    record = GateRecord(**{**values, **changes})
    given = {metric.name: {} for metric in RULES.metrics} | (of or {})
    for metric in RULES.metrics if pairs else ():
        more = {"verdict": GateVerdict.NO_REGRESSION, **given[metric.name]}
        record.metrics.append(result(record, metric, **more))
    return record


def regression():
    worse = ["search P99 is 25% slower (95% interval 20% to 30%, 22 pairs): 5.13 ms -> 6.44 ms"]
    return gate(
        "regression",
        measured(24, {"search": 1.22}, spoilt=(5, 17)),
        GateVerdict.REGRESSION,
        {
            "search P50": {"verdict": GateVerdict.REGRESSION},
            "search P99": {"verdict": GateVerdict.REGRESSION, "reasons": worse},
            "search rate": {"verdict": GateVerdict.REGRESSION},
            "create P50": {"reasons": ["create P50 is 0.2% faster"]},
            "create P99": {"verdict": GateVerdict.INCONCLUSIVE, "reasons": ["at most 7.9% slower (95% bound)"]},
        },
        reasons=worse,
        hints=["find out what slowed it down; if it is meant, accept it for a while in the file of waivers"],
        notes=["2 pairs were spoilt and replaced: the hypervisor took 23% of the CPU"],
    )


def clear():
    return gate("clear", measured(12), GateVerdict.NO_REGRESSION)


def improvement():
    better = {"verdict": GateVerdict.IMPROVEMENT}
    return gate(
        "improvement",
        measured(12, {"create": 0.7}, seed=3),
        GateVerdict.NO_REGRESSION,
        {"create P50": better, "create P99": better, "service CPU per request": better},
    )


def inconclusive():
    unsure = {"verdict": GateVerdict.INCONCLUSIVE, "reasons": ["12 pairs scatter by 31%"]}
    names = [metric.name for metric in RULES.metrics]
    return gate(
        "inconclusive",
        measured(12, {"search": 1.06}, noise=0.3, seed=5),
        GateVerdict.INCONCLUSIVE,
        dict.fromkeys(names, unsure) | {"search P99": {**unsure, "high": None}},
        rules=Rules(looks=(12,), metrics=RULES.metrics),
        sides={"base": BASE, "head": Compared(what=".", service="reference 0.2.0", python="3.12.1")},
        notes=["base and head have different pinned dependencies"],
    )


def waived():
    waiver = Waiver("search P50", "the new ranking costs that much", date(2026, 12, 1))
    ended = Waiver("create P99", "to be mended", date(2026, 4, 1))
    accepted = {"verdict": GateVerdict.WAIVED, "waiver": waiver}
    return gate(
        "waived",
        measured(12, {"search": 1.2, "create": 1.3}, seed=9),
        GateVerdict.NO_REGRESSION,
        {
            "search P50": accepted,
            "search P99": {**accepted, "reasons": ["waived until 2026-12-01: the new ranking costs that much"]},
            "search rate": accepted,
            "create P50": accepted,
            "create P99": {"verdict": GateVerdict.REGRESSION, "waiver": ended},
            "service CPU per request": {"verdict": GateVerdict.REGRESSION},
        },
        reasons=["every gated metric regressed, and each is waived"],
    )


def invalid():
    """Nothing was measured."""
    return gate(
        "invalid",
        [],
        GateVerdict.INVALID,
        reasons=["base's service did not start: ModuleNotFoundError: No module named 'pgvector'"],
        hints=["See base.log in the gate's folder"],
        look=None,
        status="failed",
    )


def interrupted():
    return gate(
        "interrupted",
        measured(7, spoilt=(2,)),
        GateVerdict.INCONCLUSIVE,
        {metric.name: {"verdict": GateVerdict.INCONCLUSIVE} for metric in RULES.metrics},
        reasons=["it ended undecided: 6 of 24 pairs count"],
        look=None,
        status="interrupted",
    )


def hostile():
    """Everything that can be hostile is."""
    bad = "<script>alert(1)</script> \x1b[31m|\x00 [red]`x` ``` $\\frac$"
    metric = Metric(bad, "gate_mix", "latency", "search", gated=True)
    record = GateRecord(
        id=bad,
        created_at="2026-05-04T09:00:00Z",
        provenance=provenance("membench", "gate", bad),
        seed=7,
        rules=Rules(looks=RULES.looks, metrics=(metric,)),
        sides={"base": Compared(bad, bad, bad, bad, bad, bad), "head": Compared(bad)},
        blocks={"gate_mix": MIX},
        settings=[Setting(bad, bad, bad, bad)],
        pairs=measured(1),
        reasons=[bad * 30] * 80,
        hints=[bad],
        notes=[bad],
        status="failed",
    )
    record.pairs[0].take_values(record.rules.metrics)
    record.pairs[0].blocks[0].doubts = [bad]
    record.pairs[0].blocks[0].errors = {bad: {bad: 3}}
    waiver = Waiver(bad, bad, date(2026, 12, 1))
    # Ratios beyond every axis, and an interval without a lower end.
    record.metrics = [MetricResult(metric, GateVerdict.REGRESSION, 1, 31.0, None, 90.0, reasons=[bad], waiver=waiver)]
    return record


ALL = (regression, clear, improvement, inconclusive, waived, invalid, interrupted, hostile)

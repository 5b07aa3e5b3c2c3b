"""Every reason not to believe a figure reaches the reader, in every output, with what to try next."""

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import harness.judge
import scenarios
from harness.core.readings import GeneratorHealth, Recall, Sample, ServiceReadings
from harness.core.record import RunRecord, ScenarioResult
from harness.core.scenario import load_scenario
from harness.core.targets import load_targets
from harness.judge import targets as judging
from harness.judge.doubt import Doubt

from .runs import provenance
from .test_outputs import all_texts, flat

TARGETS = {target.id: target for target in load_targets(scenarios.TARGETS)}
MODULES = [importlib.import_module(f"harness.judge.{m.name}") for m in pkgutil.iter_modules(harness.judge.__path__)]


def result(name, *logs, seconds=10.0, **changes):
    scenario = load_scenario(scenarios.paths()[name]).under(duration=seconds)
    values = {"seconds": seconds, "status": "complete", "seed": 1, "tapes": {}, **changes}
    return ScenarioResult(scenario=scenario, started_at="2026-01-01T00:00:00Z", operations=list(logs), **values)


def broken(log, **tally):
    for name, value in tally.items():
        setattr(log.tally, name, value)
    return log


def cases(make) -> Iterator[tuple[str, ScenarioResult]]:
    """A target and a result for each kind of doubt there is."""
    warm, working, creation = "warm_storage_query", "working_memory_access", "memory_creation_rate"

    def of(*, generator=None, **changes):
        kept = {key: changes.pop(key) for key in ("status", "failure") if key in changes}
        return result("warm_query", make("search", **changes), generator=generator or GeneratorHealth(), **kept)

    yield warm, of(status="failed", failure="a worker died")
    yield warm, of(status="interrupted")
    yield warm, of(generator=GeneratorHealth(workers=2, reported=1))
    yield warm, of(generator=GeneratorHealth(cpu_mean=0.97))
    yield warm, of(generator=GeneratorHealth(steal=0.3))
    yield warm, of(generator=GeneratorHealth(suspended=2.0))
    yield warm, of(generator=GeneratorHealth(clock_shift=-1.5))
    yield warm, result("warm_query", broken(make("search"), censored=-3))
    yield warm, result("warm_query", broken(make("search", count=0)))
    yield warm, result("warm_query", broken(make("search"), ok=1_990))
    yield warm, result("warm_query", broken(make("search"), planned=2_010))
    yield warm, result("warm_query", broken(make("search"), out_of_range=3, ok=2_003, sent=2_003, planned=2_003))
    yield warm, of(lag_ms=80.0)
    yield warm, of(skipped=12)
    yield warm, of(count=100)
    yield warm, of(service_ms=80, lag_ms=30)
    lenient = result("warm_query", make("search", censored=30), status="interrupted")
    yield warm, lenient
    stalled = [make("get", service_ms=30.0), make("noop", service_ms=25.0)]
    yield working, result("working_access", *stalled)
    untimed = [make("get", service_ms=3.0, server_ms=None), make("noop", service_ms=1.8, server_ms=None)]
    yield working, result("working_access", *untimed)
    yield creation, result("creation", make("create", seconds=3), seconds=3.0)
    late = make("create", count=20_000, skipped=12_000, late_skips=True)
    yield creation, result("creation", late)
    yield creation, result("creation", make("create"))
    mixed = [make(name, count=0) for name in ("create", "search", "get")]
    yield "concurrent_users", result("mixed", *mixed)
    few = [make(name, count=10) for name in ("create", "search", "get")]
    yield "error_rate", result("mixed", *few)
    many = [make(name) for name in ("create", "search", "get")]
    pool = ServiceReadings(pool_utilization=[Sample(0.0, 0.4)], pool_missed=19)
    yield "connection_pool", result("mixed", *many, service=pool)
    unsure = result("search_complex", make("search"))
    unsure.recall = {"search": Recall(10.0, 20, 0.86, 0.8, 0.91)}
    yield "search_recall", unsure
    unanswered = result("search_complex", make("search"))
    unanswered.recall = {"search": Recall(10.0, 20, 0.99, 0.97, 1.0, unanswered=40)}
    yield "search_recall", unanswered
    hits = ServiceReadings(cache_hits={"search": 12}, cache_misses={"search": 3})
    yield "cache_hit_ratio", result(TARGETS["cache_hit_ratio"].scenario, *many, service=hits)


def places() -> set[tuple[str, int]]:
    """Where in the judge a doubt is made: file and line."""
    found = set()
    for module in MODULES:
        tree = ast.parse(Path(module.__file__).read_text())
        found |= {
            (module.__name__, node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Doubt"
        }
    return found


def test_each_kind_of_doubt_is_in_every_output_with_its_hint(make_log, monkeypatch):
    made: list[tuple[tuple[str, int], Doubt]] = []

    def noted(*args, **kwargs):
        caller = sys._getframe(1)
        made.append(((caller.f_globals["__name__"], caller.f_lineno), Doubt(*args, **kwargs)))
        return made[-1][1]

    for module in MODULES:
        if hasattr(module, "Doubt"):
            monkeypatch.setattr(module, "Doubt", noted)
    seen = set()
    for target, measured in cases(make_log):
        made.clear()
        record = RunRecord("id", "2026-01-01T00:00:00Z", provenance(), 1, scenarios=[measured])
        judging.judge(record, [TARGETS[target]])
        assert made, target
        assert record.verdict == "INVALID" or record.targets[0].verdict == "FAIL", target
        told = [text for verdict in measured.verdicts.values() for text in (*verdict.reasons, *verdict.hints)]
        told += [*record.targets[0].reasons, *record.targets[0].hints]
        texts = all_texts(record)
        for place, doubt in made:
            if doubt.reason not in told:
                continue  # The judge weighed it and said something else.
            seen.add(place)
            for name, text in texts.items():
                assert flat(doubt.reason) in text, (name, doubt)
                assert flat(doubt.hint) in text, (name, doubt)
    assert places() - seen == set()

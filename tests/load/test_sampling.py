"""The sample of answers: bounded, even, the same for the same seed, and of the right requests."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Raw

from harness.core.scenario import OpenArrivals, Operation, Phases, Scenario
from harness.core.tape import Request, write_tape
from harness.load.driver import LoadProcess
from harness.load.job import LoadJob, LoadReport
from harness.load.sampling import SAMPLES, Answered, Reservoir


def fill(count: int, size: int, seed: int | str) -> list[int]:
    """The places in a stream that a reservoir kept."""
    reservoir = Reservoir(size, seed)
    for number in range(count):
        if reservoir.wants_next():
            reservoir.keep(Answered("search", "/", b"", b"", number))
    return [int(one.sent_at) for one in reservoir.kept]


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (1, 1), (59, 59), (60, 60), (61, 60), (5000, 60)])
def test_it_never_grows_beyond_its_size(count: int, kept: int) -> None:
    places = fill(count, 60, seed=1)
    assert len(places) == len(set(places)) == kept


def test_the_same_seed_keeps_the_same_places() -> None:
    assert fill(5000, 60, "7/0/search") == fill(5000, 60, "7/0/search")
    assert fill(5000, 60, "7/0/search") != fill(5000, 60, "7/1/search")


def test_every_part_of_the_stream_is_kept_alike_often() -> None:
    tenths = Counter(place // 100 for seed in range(300) for place in fill(1000, 20, seed))
    # 600 each; six standard deviations of a binomial are 140.
    assert all(abs(tenths[tenth] - 600) < 140 for tenth in range(10)), tenths


def offer(url: str, folder: Path) -> LoadReport:
    """Half searches, half reads; a warm-up as long as the measure phase."""
    scenario = Scenario(
        name="searches",
        title="",
        description="",
        arrivals=OpenArrivals(rate=400, process="uniform"),
        operations=(Operation("get", "get"), Operation("find", "search")),
        phases=Phases(warmup=0.5, warmup_most=0.5, measure=0.5, drain=5),
    )
    bodies = (Raw(json.dumps({"query_text": str(n), "limit": 5}).encode()) for n in range(400))
    write_tape(folder / "find.jsonl", (Request("POST", "/api/v1/search", body) for body in bodies))
    write_tape(folder / "get.jsonl", (Request("GET", "/api/v1/memories/1") for _ in range(400)))
    tapes = {name: str(folder / f"{name}.jsonl") for name in ("get", "find")}
    (folder / "load").mkdir()
    with LoadProcess(LoadJob(url=url, scenario=scenario, seed=1, tapes=tapes), folder / "load") as process:
        for _ in process.lines():
            pass
        return process.report()


@pytest.mark.slow
def test_searches_of_the_measure_phase_are_sampled(fake_service: Callable[..., str], tmp_path: Path) -> None:
    began = time.time()
    report = offer(fake_service(), tmp_path)
    samples = report.samples
    assert len(samples) == SAMPLES
    assert {(one.operation, one.path) for one in samples} == {("find", "/api/v1/search")}
    assert json.loads(samples[0].answer) == {"status": "healthy", "version": "fake"}
    numbers = {int(json.loads(one.body)["query_text"]) for one in samples}
    assert len(numbers) == SAMPLES
    assert min(numbers) >= 100  # those before were the warm-up's
    assert all(began + 0.5 < one.sent_at < time.time() for one in samples)
    assert max(one.sent_at for one in samples) - min(one.sent_at for one in samples) > 0.25


@pytest.mark.slow
def test_failures_are_not(fake_service: Callable[..., str], tmp_path: Path) -> None:
    report = offer(fake_service("--status", 503), tmp_path)
    assert report.samples == []
    assert report.operations[1].errors == {"HTTP 503": 100}

"""Planted faults: that each is there, and that the service without it has none of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest

from harness.stack import service
from harness.stack.embedded import free_port
from harness.stack.ledger import Ledger
from scenarios.faults.__main__ import main
from scenarios.faults.dial import VARIABLE, Dial, Value
from scenarios.faults.pause import Pauses
from scenarios.faults.registry import FAULTS

CREATES, GETS, SEARCHES, LIMIT = 48, 50, 10, 5
DATABASE = ("no_cache", "no_search_cache", "query_per_row", "other_schema")
ANSWERS = ("embedding_in_answer", "stalled_get", "errors=0.5")
WORK = ("dropped_index", "locked_create", "slow_search=1", "slow_get=1", "slow_create=1")


class Reply(NamedTuple):
    """`milliseconds` are the server's own."""

    status: int
    json: Any
    milliseconds: float


class Caller:
    """A client of one service."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=30)

    def call(self, method: str, path: str, body: object = None) -> Reply:
        self.connection.request(method, path, None if body is None else json.dumps(body))
        answer = self.connection.getresponse()
        text, timing = answer.read(), answer.getheader("server-timing", "")
        found = re.search(r"total;dur=([\d.]+)", timing)
        kind = answer.getheader("content-type", "")
        return Reply(answer.status, json.loads(text) if "json" in kind else text.decode(), float(found[1]))

    def create(self, number: int) -> Reply:
        return self.call("POST", "/api/v1/memories", {"content": f"memory {number} of tea"})

    def search(self, text: str) -> Reply:
        return self.call("POST", "/api/v1/search", {"query_text": text, "limit": LIMIT})


class Seen(NamedTuple):
    """What the same calls show of a service."""

    gets: list[Reply]
    searches: list[Reply]
    metrics: str
    versions: list[int]
    indexes: set[str]

    def metric(self, line: str) -> float:
        return float(re.search(rf"^{re.escape(line)} (\S+)$", self.metrics, re.MULTILINE)[1])


async def ask(url: str, *statements: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetch(statement) for statement in statements]
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def running(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., tuple[service.Service, str]]]:
    """Starts the service with the given faults, or the plain one, on a new database; gives that, too."""
    started: list[service.Service] = []
    with Ledger(tmp_path_factory.mktemp("ledger")) as ledger:

        def start(*faults: str, **environment: str) -> tuple[service.Service, str]:
            name, port = f"faults_{len(started)}", free_port()
            asyncio.run(ask(postgres_url, f"CREATE DATABASE {name}"))
            url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
            command = service.reference(port)
            if faults:
                command = [sys.executable, "-m", "scenarios.faults", *faults, "--port", str(port)]
            environment |= service.using(url)
            started.append(
                service.start([*command, "--pool-min=2"], port, ledger, lambda text: None, environment=environment)
            )
            return started[-1], url

        yield start
        for each in started:
            each.stop()


@pytest.fixture(scope="module")
def seen(running: Callable[..., tuple[service.Service, str]]) -> Callable[..., Seen]:
    """What the calls show; each service is started once."""
    known: dict[tuple[str, ...], Seen] = {}

    def find(*faults: str) -> Seen:
        if faults not in known:
            known[faults] = exercise(*running(*faults))
        return known[faults]

    return find


def exercise(faulty: service.Service, database: str) -> Seen:
    with ThreadPoolExecutor(CREATES) as pool:
        created = list(pool.map(lambda number: Caller(faulty.url).create(number), range(CREATES)))
    assert {reply.status for reply in created} == {200}
    caller = Caller(faulty.url)
    path = f"/api/v1/memories/{created[0].json['id']}"
    gets = [caller.call("GET", path) for _ in range(GETS)]
    searches = [caller.search(f"tea {number}") for number in range(SEARCHES)]
    for _ in range(2):
        caller.search("the same again")
    metrics = caller.call("GET", "/metrics").json
    faulty.stop()
    versions, indexes = asyncio.run(
        ask(
            database,
            "SELECT version FROM schema_migrations ORDER BY version",
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
        )
    )
    return Seen(gets, searches, metrics, [row[0] for row in versions], {row[0] for row in indexes})


def test_all_faults_are_shown_here() -> None:
    assert {name.partition("=")[0] for name in (*DATABASE, *ANSWERS, *WORK)} == set(FAULTS)


@pytest.mark.slow
def test_caches_are_off(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*DATABASE)
    for cache in ("memory", "search"):
        line = f'memory_cache_hits_total{{cache="{cache}"}}'
        assert plain.metric(line) >= 1
        assert faulty.metric(line) == 0
    assert [reply.status for reply in faulty.gets] == [200] * GETS


@pytest.mark.slow
def test_a_migration_more_is_recorded_and_known(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*DATABASE)
    assert faulty.versions == [*plain.versions, plain.versions[-1] + 1]


@pytest.mark.slow
def test_answers_bring_embeddings(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*ANSWERS)
    assert len(faulty.gets[0].json.pop("embedding")) == 1536
    assert faulty.gets[0].json.keys() == plain.gets[0].json.keys()
    found = next(reply for reply in faulty.searches if reply.status == 200)
    assert [len(result.pop("embedding")) for result in found.json["results"]] == [1536] * LIMIT
    assert found.json["results"][0].keys() == plain.searches[0].json["results"][0].keys()


@pytest.mark.slow
def test_a_share_of_searches_fails(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*ANSWERS)
    assert [reply.status for reply in plain.searches] == [200] * SEARCHES
    assert [reply.status for reply in faulty.searches] == [200, 500] * (SEARCHES // 2)
    assert [reply.status for reply in faulty.gets] == [200] * GETS


@pytest.mark.slow
def test_every_fiftieth_get_stalls(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*ANSWERS)
    assert faulty.gets[-1].milliseconds >= 50
    assert statistics.median(reply.milliseconds for reply in faulty.gets) < 50
    assert min(reply.milliseconds for reply in plain.gets) < 50


@pytest.mark.slow
def test_an_index_is_gone_and_nothing_else(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*WORK)
    assert plain.indexes - faulty.indexes == {"memory_vectors_pkey"}
    assert faulty.indexes <= plain.indexes
    assert plain.versions == faulty.versions
    assert [reply.status for reply in faulty.searches] == [200] * SEARCHES


@pytest.mark.slow
def test_no_two_creates_share_a_commit(seen: Callable[..., Seen]) -> None:
    plain, faulty = seen(), seen(*WORK)
    assert faulty.metric("memory_group_commit_size_count") == CREATES
    assert plain.metric("memory_group_commit_size_count") < CREATES
    assert plain.metric("memory_group_commit_size_sum") == CREATES


@pytest.mark.slow
def test_factors_change_while_it_runs(running: Callable[..., tuple[service.Service, str]], tmp_path: Path) -> None:
    file = tmp_path / "faults"
    faulty, _ = running("slow_search=1", "slow_get=1", "slow_create=1", **{VARIABLE: str(file)})
    caller, number = Caller(faulty.url), iter(range(1_000))
    path = f"/api/v1/memories/{caller.create(next(number)).json['id']}"
    calls: dict[str, Callable[[], Reply]] = {
        "get": lambda: caller.call("GET", path),
        "search": lambda: caller.search(f"tea {next(number)}"),
        "create": lambda: caller.create(next(number)),
    }

    def medians(**factors: float) -> dict[str, float]:
        (tmp_path / "part").write_text("".join(f"slow_{name}={factor}\n" for name, factor in factors.items()))
        os.replace(tmp_path / "part", file)
        time.sleep(0.1)
        return {name: statistics.median(call().milliseconds for _ in range(15)) for name, call in calls.items()}

    before = medians(search=1)
    slow = medians(search=10, get=100, create=10)
    for name in calls:
        assert slow[name] > 2 * before[name], name
    after = medians(search=1, get=1, create=1)
    assert all(after[name] < slow[name] for name in calls)


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, now = tmp_path / "faults", iter(range(0, 1_000, 1))
    dial = Dial({"slow": Value(1.2, 1, 9)}, {"slow": 2.0}, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: float(next(now)))
        for text, value, complaint in (
            (None, 2, ""),
            ("slow=3", 3, ""),
            ("other=1", 3, "no fault 'other'"),
            ("slow=x", 3, "'x' is not a number"),
            ("slow=10\n", 3, "not within 1 to 9"),
            ("\n", 3, ""),
            ("slow=4\n", 4, ""),
        ):
            if text is not None:
                file.write_text(text)
            assert [dial["slow"], dial["slow"]] == [value, value]
            assert complaint in capsys.readouterr().err


def test_sleeps_are_as_long_as_asked_and_end_in_order() -> None:
    ended: list[float] = []

    async def sleep(pauses: Pauses, seconds: float) -> None:
        started = time.monotonic()
        await pauses.sleep(seconds)
        assert time.monotonic() - started >= seconds
        ended.append(seconds)

    async def sleep_all() -> None:
        pauses = Pauses()
        await asyncio.gather(*(sleep(pauses, seconds) for seconds in (0.09, 0.03, 0.06, 0.0, 0.00001)))

    asyncio.run(sleep_all())
    assert ended == [0.0, 0.00001, 0.03, 0.06, 0.09]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no fault is named"),
        (["slow"], "no fault 'slow'"),
        (["no_cache=1"], "takes no value"),
        (["slow_search=0.5"], "not within 1 to 100"),
        (["errors", "--database=postgresql://x", "--workers=2"], "--workers must be 1"),
    ],
)
def test_what_cannot_be_planted_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_help_tells_all_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name}" in told for name in FAULTS)
    assert VARIABLE in told

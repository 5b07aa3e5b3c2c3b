"""Several processes on one database: what one changes, no other serves stale for longer than is stated."""

import asyncio
import bisect
import contextlib
import json
import math
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reference_impl.feed import APPLICATION

BOUND = 1.0  # as the service states it, s
SECONDS = 5.0
ROOMS = ("kitchen", "garden")
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"


class History:
    """The states of a memory: None while it is not there, else its version. A version's parity is its room.

    A state may hold from when the change to it was sent, and until the change to the next was acknowledged.
    """

    def __init__(self):
        self.id = None
        self.states = [None]
        self.sent = [-math.inf]
        self.over = [math.inf]

    def change(self, send, state):
        sent = time.monotonic()
        # Before it is sent: an observer must find the new state there as soon as it can see it.
        self.over.append(math.inf)
        self.sent.append(sent)
        self.states.append(state)
        reply = send()
        assert reply.status in {200, 204}, reply.body
        self.over[-2] = time.monotonic()
        return reply

    def staleness(self, fits, started, done):
        """How long before `started` a state that fits was the last one, s; at most 0 where one fits in between."""
        for index in range(bisect.bisect_right(self.sent, done) - 1, -1, -1):
            if fits(self.states[index]):
                return started - self.over[index]
        raise AssertionError("what was answered never was")


def room(version):
    return ROOMS[version % 2]


class Observed:
    """What several threads ask and change, and what they were answered."""

    def __init__(self, writing, reading):
        self.writing, self.reading = writing, reading
        self.histories = []
        self.observations = []
        self.hits = {"get": 0, "search": 0}
        self.end = time.monotonic() + SECONDS

    def body(self, version):
        return {"metadata": {"version": version, "room": room(version)}}

    def write(self, seed):
        chance, connection = random.Random(seed), self.writing.connect()
        mine = []
        serial = 0
        while time.monotonic() < self.end:
            living = [history for history in mine if history.states[-1] is not None]
            if len(living) < 12:
                serial += 1
                history = History()
                body = {"content": f"the ships of writer {seed}, number {serial}", **self.body(0)}
                reply = history.change(lambda b=body: self.call(self.writing, connection, "POST", "", b), 0)
                history.id = reply.json["id"]
                mine.append(history)
                self.histories.append(history)
                continue
            history = chance.choice(living)
            path = f"/{history.id}"
            if chance.random() < 0.1:
                history.change(lambda p=path: self.call(self.writing, connection, "DELETE", p), None)
            else:
                version = history.states[-1] + 1
                body = self.body(version)
                history.change(lambda p=path, b=body: self.call(self.writing, connection, "PATCH", p, b), version)
            time.sleep(chance.choice([0.005, 0.02, 0.1]))
        connection.close()

    def read(self, seed):
        chance, connection = random.Random(seed), self.reading.connect()
        while time.monotonic() < self.end:
            if not self.histories:
                continue
            history = chance.choice(self.histories[-40:])
            started = time.monotonic()
            reply = self.call(self.reading, connection, "GET", f"/{history.id}")
            done = time.monotonic()
            assert reply.status in {200, 404}, reply.body
            state = reply.json["metadata"]["version"] if reply.status == 200 else None
            self.note("get", reply, (history, lambda known, state=state: known == state, started, done))
            if chance.random() < 0.02:
                # With several workers, another one perhaps.
                connection.close()
        connection.close()

    def search(self, seed):
        chance, connection = random.Random(seed), self.reading.connect()
        while time.monotonic() < self.end:
            asked = chance.choice(ROOMS)
            body = {"query_text": "the ships", "metadata_filters": {"room": asked}, "limit": 200}
            known = list(self.histories)
            started = time.monotonic()
            reply = self.reading.call("POST", "/api/v1/search", body, connection=connection)
            done = time.monotonic()
            assert reply.status == 200, reply.body
            found = {result["memory"]["id"]: result["memory"]["metadata"] for result in reply.json["results"]}
            assert all(metadata["room"] == asked for metadata in found.values())
            for history in known:
                state = found[history.id]["version"] if history.id in found else None
                self.note("search", reply, (history, _fits(asked, state), started, done))
            if chance.random() < 0.02:
                connection.close()
        connection.close()

    def call(self, service, connection, method, path, body=None):
        return service.call(method, f"/api/v1/memories{path}", body, connection=connection)

    def note(self, kind, reply, observation):
        self.hits[kind] += "cache;desc=hit" in reply.headers["server-timing"]
        self.observations.append((kind, *observation))

    def longest(self):
        """The longest staleness seen, by kind of request, s."""
        longest = {"get": 0.0, "search": 0.0}
        for kind, history, *observation in self.observations:
            longest[kind] = max(longest[kind], history.staleness(*observation))
        return longest


def _fits(asked, state):
    if state is not None:
        return lambda known: known == state
    return lambda known: known is None or room(known) != asked


def ask(database, sql, *values):
    async def run():
        connection = await asyncpg.connect(database)
        try:
            return await connection.fetch(sql, *values)
        finally:
            await connection.close()

    return asyncio.run(run())


def listeners(database):
    """The process ids of the connections over which services hear of changes."""
    return [row["pid"] for row in ask(database, LISTENERS, APPLICATION)]


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def nothing(_database, _end):
    """Leaves everything as it is."""


def cut(database, end):
    """Cuts the connections over which services hear of changes."""
    while time.monotonic() < end:
        signal_all(listeners(database), signal.SIGTERM)
        time.sleep(0.7)


def hang(database, end):
    """Keeps services from hearing, for shorter and longer than they wait for that."""
    for seconds in (0.5, 1.8, 2.5):
        if time.monotonic() > end:
            break
        pids = listeners(database)
        signal_all(pids, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            signal_all(pids, signal.SIGCONT)
        time.sleep(0.4)


@pytest.mark.parametrize("disturb", [nothing, cut, hang])
def test_a_change_through_one_service_is_never_stale_in_another(postgres, launch, disturb):
    database = postgres.new_database()
    observe(launch(database), launch(database), database, disturb)


def test_workers_of_one_service_hear_of_each_other(postgres, launch):
    database = postgres.new_database()
    running = launch(database, "--workers", "2")
    observe(running, running, database, nothing)


def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_service_that_was_stopped_serves_nothing_from_before(postgres, launch):
    database = postgres.new_database()
    writing, reading = launch(database), launch(database)
    ids = [writing.create(f"written before the stop, number {number}")["id"] for number in range(30)]
    connections = [reading.connect() for _ in ids]
    for version in range(1, 4):
        for memory_id in ids:
            reading.get(f"/api/v1/memories/{memory_id}")
        path = f"/api/v1/memories/{ids[0]}"
        eventually(lambda path=path: "cache;desc=hit" in reading.get(path).headers["server-timing"])
        # What it has to hear is not there yet when it goes on.
        silent = listeners(database)
        try:
            signal_all(silent, signal.SIGSTOP)
            reading.process.send_signal(signal.SIGSTOP)
            for memory_id in ids:
                body = {"metadata": {"version": version}}
                assert writing.call("PATCH", f"/api/v1/memories/{memory_id}", body).status == 200
            time.sleep(BOUND)
            for memory_id, connection in zip(ids, connections, strict=True):
                connection.request("GET", f"/api/v1/memories/{memory_id}")
            reading.process.send_signal(signal.SIGCONT)
            answers = [json.loads(connection.getresponse().read()) for connection in connections]
        finally:
            signal_all(silent, signal.SIGCONT)
        assert [answer["metadata"].get("version") for answer in answers] == [version] * len(ids)
    for connection in connections:
        connection.close()
    assert writing.stop() == reading.stop() == 0


class Index:
    """The index of candidates of a service, as its metrics show it."""

    def __init__(self, service):
        self._service = service

    def _value(self, name, **labels):
        families = text_string_to_metric_families(self._service.get("/metrics").body.decode())
        (value,) = (
            s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()
        )
        return value

    @property
    def usable(self):
        return self._value("memory_candidates_usable") == 1

    @property
    def size(self):
        return self._value("memory_candidates")

    @property
    def searches(self):
        """Those that it has found the candidates of, and those that PostgreSQL answered alone."""
        return [self._value("memory_searches_total", source=source) for source in ("indexed", "unindexed")]


def ids(service, words, kind="Hybrid", **metadata):
    found = service.search(words, search_type=kind, limit=100, metadata_filters=metadata)
    assert all(metadata.items() <= result["memory"]["metadata"].items() for result in found)
    return {result["memory"]["id"] for result in found}


def patch(service, memory_id, **fields):
    assert service.call("PATCH", f"/api/v1/memories/{memory_id}", fields).status == 200


def delete(service, memory_id):
    assert service.call("DELETE", f"/api/v1/memories/{memory_id}").status == 204


def test_what_one_service_does_another_finds_though_it_has_an_index_of_its_own(postgres, launch):
    database = postgres.new_database()
    writing, reading = launch(database), launch(database)
    index = Index(reading)
    others = {writing.create(f"a ship of the fleet, number {n}", metadata={"room": "harbour"})["id"] for n in range(5)}
    eventually(lambda: index.usable and index.size == len(others))
    before = index.searches
    new = writing.create("the ship that is new", metadata={"room": "harbour"})["id"]
    eventually(lambda: ids(reading, "ship", room="harbour") == {*others, new}, 2)
    # Both what it holds and what it says.
    patch(writing, new, metadata={"room": "dock"})
    eventually(lambda: ids(reading, "ship", room="dock") == {new}, 2)
    eventually(lambda: ids(reading, "ship", room="harbour") == others, 2)
    patch(writing, new, content="a xylophone")
    eventually(lambda: ids(reading, "xylophone", "FullText", room="dock") == {new}, 2)
    eventually(lambda: ids(reading, "ship", "FullText", room="dock") == set(), 2)
    patch(writing, new, tier="Cold", importance_score=1.0)
    eventually(lambda: reading.search("xylophone", tier="Cold", importance_range={"min": 1.0}), 2)
    delete(writing, new)
    eventually(lambda: ids(reading, "xylophone", room="dock") == set(), 2)
    indexed, unindexed = (now - then for now, then in zip(index.searches, before, strict=True))
    assert indexed > unindexed
    eventually(lambda: index.size == len(others))
    assert writing.stop() == reading.stop() == 0


def test_a_service_that_hears_of_no_change_answers_from_the_database_until_it_does(postgres, launch):
    database = postgres.new_database()
    writing, reading = (launch(database, "--pool-min", "10") for _ in range(2))
    index = Index(reading)
    kept, changed, deleted = (
        writing.create(f"a ship of the fleet, number {n}", metadata={"room": "harbour"})["id"] for n in range(3)
    )
    eventually(lambda: index.usable and index.size == 3)
    assert ids(reading, "ship", room="harbour") == {kept, changed, deleted}
    name = ask(database, "SELECT current_database()")[0][0]
    try:
        # Nobody can connect, so the connection that is cut stays so.
        ask(postgres.url("postgres"), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        cut_off = ask(
            postgres.url("postgres"),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = $2",
            APPLICATION,
            name,
        )
        assert len(cut_off) == 2
        eventually(lambda: not index.usable)
        indexed, unindexed = index.searches
        new = writing.create("the ship that is new", metadata={"room": "harbour"})["id"]
        assert ids(reading, "ship", room="harbour") == {kept, changed, deleted, new}
        patch(writing, changed, metadata={"room": "dock"}, content="a xylophone")
        assert ids(reading, "xylophone", room="dock") == {changed}
        assert ids(reading, "ship", room="harbour") == {kept, deleted, new}
        delete(writing, deleted)
        assert ids(reading, "ship", room="harbour") == {kept, new}
        assert index.searches == [indexed, unindexed + 4]
        assert not index.usable
    finally:
        ask(postgres.url("postgres"), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    eventually(lambda: index.usable)
    assert index.size == 3
    assert ids(reading, "the ship", room="harbour") == {kept, new}
    assert ids(reading, "the xylophone", room="dock") == {changed}
    assert index.searches == [indexed + 2, unindexed + 4]
    later = writing.create("a ship that comes later", metadata={"room": "harbour"})["id"]
    eventually(lambda: ids(reading, "ship", room="harbour") == {kept, new, later}, 2)
    assert writing.stop() == reading.stop() == 0


def test_after_its_connection_is_cut_a_service_has_its_index_back_and_has_missed_nothing(postgres, launch):
    database = postgres.new_database()
    writing, reading = launch(database), launch(database)
    index = Index(reading)
    fleet = {writing.create("ship number 0", metadata={"room": "harbour"})["id"]}
    eventually(lambda: index.usable and index.size == 1)
    for number in range(1, 6):
        for pid in listeners(database):
            ask(database, "SELECT pg_terminate_backend($1)", pid)
        # This may be while nobody listens.
        fleet.add(writing.create(f"ship number {number}", metadata={"room": "harbour"})["id"])
        eventually(lambda: ids(reading, "ship", room="harbour") == fleet, 2)
        eventually(lambda number=number: index.usable and index.size == number + 1)
        indexed, _ = index.searches
        assert ids(reading, f"ship {number}", room="harbour") == fleet
        assert index.searches[0] == indexed + 1
    assert writing.stop() == reading.stop() == 0


def observe(writing, reading, database, disturb):
    observed = Observed(writing, reading)
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            *(pool.submit(observed.write, seed) for seed in (1, 2)),
            *(pool.submit(observed.read, seed) for seed in (3, 4)),
            pool.submit(observed.search, 5),
            pool.submit(disturb, database, observed.end),
        ]
    for job in jobs:
        job.result()
    longest = observed.longest()
    print(f"longest staleness, s: {longest}; cache hits: {observed.hits}")
    # Else there was nothing to be stale.
    assert min(observed.hits.values()) > 0, observed.hits
    assert max(longest.values()) <= BOUND, longest
    for service in {writing, reading}:
        assert service.stop() == 0

"""Admission control: bounds, order, refusals, and callers who give up; and settings, which set the bounds."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from reference_impl.admission import Admission
from reference_impl.errors import ApiError
from reference_impl.settings import Settings, parse


class Work:
    """Tasks that hold a place until they are told to go."""

    def __init__(self, admission):
        self.admission = admission
        self.entered = []
        self.go = {}

    def start(self, name):
        self.go[name] = asyncio.Event()
        return asyncio.create_task(self._hold(name))

    async def _hold(self, name):
        async with self.admission:
            self.entered.append(name)
            await self.go[name].wait()

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def test_so_many_at_once_and_the_others_in_order():
    async def scene():
        admission = Admission("reads", 2, 10)
        work = Work(admission)
        tasks = [work.start(n) for n in range(5)]
        await work.settle()
        assert work.entered == [0, 1]
        assert (admission.running, admission.waiting, admission.rejected) == (2, 3, 0)
        for done, expected in ((1, [0, 1, 2]), (0, [0, 1, 2, 3]), (2, [0, 1, 2, 3, 4])):
            work.go[done].set()
            await work.settle()
            assert work.entered == expected
            assert admission.running == 2
        for event in work.go.values():
            event.set()
        await asyncio.gather(*tasks)
        assert (admission.running, admission.waiting) == (0, 0)

    run(scene())


def test_a_full_queue_refuses_at_once():
    async def scene():
        admission = Admission("searches", 1, 1)
        work = Work(admission)
        tasks = [work.start(n) for n in range(2)]
        await work.settle()
        for number in (1, 2):
            with pytest.raises(ApiError) as refused:
                async with admission:
                    pytest.fail("let in")
            assert (refused.value.status, refused.value.code) == (429, "TOO_MANY_REQUESTS")
            assert dict(refused.value.headers)["retry-after"] == "1"
            assert "searches" in refused.value.message
            assert admission.rejected == number
        for event in work.go.values():
            event.set()
        await asyncio.gather(*tasks)
        async with admission:
            assert admission.running == 1

    run(scene())


def test_without_a_queue_what_is_busy_refuses():
    async def scene():
        admission = Admission("reads", 1, 0)
        async with admission:
            with pytest.raises(ApiError):
                await admission.__aenter__()
        async with admission:
            pass

    run(scene())


def test_a_failure_inside_gives_the_place_back():
    async def scene():
        admission = Admission("reads", 1, 1)
        with pytest.raises(ZeroDivisionError):
            async with admission:
                raise ZeroDivisionError
        assert admission.running == 0

    run(scene())


@pytest.mark.parametrize("moment", ["waiting", "as its turn comes", "as another leaves", "inside"])
def test_who_gives_up_takes_no_place_along(moment):
    async def scene():
        admission = Admission("reads", 1, 5)
        work = Work(admission)
        first, quitter, last = (work.start(name) for name in ("first", "quitter", "last"))
        await work.settle()
        if moment == "waiting":
            quitter.cancel()
            await work.settle()
            assert admission.waiting == 1
            work.go["first"].set()
        elif moment == "as its turn comes":
            work.go["first"].set()
            # Two steps: the event wakes the first task, which hands its place on; the quitter has not run yet.
            while admission.waiting == 2:
                await asyncio.sleep(0)
            quitter.cancel()
        elif moment == "as another leaves":
            quitter.cancel()
            work.go["first"].set()
        else:
            work.go["first"].set()
            await work.settle()
            assert work.entered == ["first", "quitter"]
            quitter.cancel()
        await work.settle()
        assert work.entered[-1] == "last"
        work.go["last"].set()
        await asyncio.gather(first, last)
        with contextlib.suppress(asyncio.CancelledError):
            await quitter
        assert (admission.running, admission.waiting, admission.rejected) == (0, 0, 0)

    run(scene())


def test_any_order_of_coming_and_giving_up_leaves_it_empty():
    async def scene():
        admission = Admission("reads", 3, 1_000)
        most = 0

        async def visit(number):
            nonlocal most
            async with admission:
                most = max(most, admission.running)
                for _ in range(number % 4):
                    await asyncio.sleep(0)

        tasks = []
        for number in range(500):
            tasks.append(asyncio.create_task(visit(number)))
            if number % 3 == 0:
                tasks[number // 2].cancel()
            if number % 5 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 3
        assert (admission.running, admission.waiting) == (0, 0)

    run(scene())


def test_the_service_refuses_what_it_cannot_queue(postgres, launch):
    options = ("--read-concurrency", "1", "--read-queue", "0", "--search-concurrency", "1", "--search-queue", "0")
    running = launch(postgres.new_database(), *options, "--cache-size", "0", "--search-cache-size", "0")
    try:
        memory = running.create("wanted by all")
        path = f"/api/v1/memories/{memory['id']}"

        def hammer(number):
            connection = running.connect()
            try:
                replies = []
                for step in range(30):
                    for method, target, body in (
                        ("GET", path, None),
                        ("PATCH", path, {"importance_score": 0.5}),
                        ("POST", "/api/v1/search", {"query_text": f"{number} {step}", "exact": True}),
                    ):
                        replies.append(running.call(method, target, body, connection=connection))
                return replies
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            replies = [reply for some in pool.map(hammer, range(8)) for reply in some]
        assert {reply.status for reply in replies} == {200, 429}
        for reply in replies:
            if reply.status == 429:
                assert reply.json["error"]["code"] == "TOO_MANY_REQUESTS"
                assert int(reply.headers["retry-after"]) >= 1
        assert running.get(path).status == 200
        assert running.search("wanted by all", limit=1)[0]["memory"]["id"] == memory["id"]
    finally:
        assert running.stop() == 0


def test_what_the_defaults_let_work_leaves_connections_to_spare():
    settings = Settings(database="")
    at_work = settings.search_concurrency + settings.read_concurrency + settings.writers
    in_the_background = 2 + 3  # batches; counts, feeding, tiers
    assert at_work + in_the_background <= 0.7 * settings.pool_max


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "0"], "--port"),
        (["--workers", "1.5"], "--workers"),
        (["--dimension", "8"], "--dimension"),
        (["--cache-ttl", "nan"], "--cache-ttl"),
        (["--tier-importance", "2"], "--tier-importance"),
        (["--tier-interval", "-1"], "--tier-interval"),
        (["--search-concurrency", "0"], "--search-concurrency"),
        (["--read-queue", "many"], "--read-queue"),
        (["--pool-min", "60"], "--pool-min"),
        (["--log-level", "loud"], "--log-level"),
    ],
    ids=str,
)
def test_settings_out_of_bounds_are_named(capsys, options, named):
    with pytest.raises(SystemExit) as stopped:
        parse(["--database", "postgresql://x", *options])
    assert stopped.value.code == 2
    assert f"error: {named}: " in capsys.readouterr().err


def test_an_option_wins_over_its_variable_and_both_over_the_default(monkeypatch, capsys):
    monkeypatch.setenv("MEMORY_READ_QUEUE", "7")
    monkeypatch.setenv("MEMORY_DATABASE_URL", "postgresql://x")
    assert parse([]).read_queue == 7
    assert parse(["--read-queue", "9"]).read_queue == 9
    monkeypatch.setenv("MEMORY_READ_QUEUE", "seven")
    with pytest.raises(SystemExit):
        parse([])
    assert "MEMORY_READ_QUEUE: 'seven'" in capsys.readouterr().err

"""The end of the service: what it has accepted is answered, nothing more is taken, no process stays behind."""

import asyncio
import socket
import threading
import time

import asyncpg
import psutil
import pytest


class Lock:
    """Holds the table of memories, so that whatever needs it waits."""

    def __init__(self, database):
        self._held = threading.Event()
        self._release = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(database)))

    async def _run(self, database):
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute("LOCK TABLE memories IN ACCESS EXCLUSIVE MODE")
            self._held.set()
            await asyncio.to_thread(self._release.wait, 60)
        await connection.close()

    def __enter__(self):
        self._thread.start()
        assert self._held.wait(10)
        return self

    def __exit__(self, *_):
        self.release()

    def release(self):
        self._release.set()
        self._thread.join(10)


def ask(running, method, path, body=b""):
    connection = socket.create_connection(("127.0.0.1", running.port))
    connection.settimeout(30)
    connection.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (method, path, len(body)) + body)
    return connection


def rest(connection):
    """What comes until the other side closes."""
    found = b""
    while chunk := connection.recv(65_536):
        found += chunk
    connection.close()
    return found


def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def in_flight(running):
    lines = running.get("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith("memory_requests_in_flight ")).split()[1]) - 1


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two"])
def test_what_was_accepted_is_answered_and_nothing_more_is_taken(postgres, launch, options):
    database = postgres.new_database()
    running = launch(database, "--cache-size", "0", *options)
    path = f"/api/v1/memories/{running.create('asked for last')['id']}".encode()
    idle = ask(running, b"GET", b"/api/v1/noop")
    assert idle.recv(65_536).startswith(b"HTTP/1.1 200")
    with Lock(database) as lock:
        asked = [
            ask(running, b"GET", path),
            ask(running, b"PATCH", path, b'{"importance_score": 1}'),
            ask(running, b"POST", b"/api/v1/memories", b'{"content": "stored last"}'),
            ask(running, b"POST", b"/api/v1/search", b'{"query_text": "last"}'),
        ]
        if not options:
            eventually(lambda: in_flight(running) == len(asked))
        running.connection.close()
        running.process.terminate()
        assert rest(idle) == b""
        eventually(lambda: refused(running.port))
        assert running.process.poll() is None
        lock.release()
        for connection in asked:
            answer = rest(connection)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert b"connection: close" in answer.lower()
    assert running.stop() == 0


def test_a_database_that_stands_still_does_not_keep_the_service(postgres, launch):
    database = postgres.new_database()
    running = launch(database, "--cache-size", "0")
    path = f"/api/v1/memories/{running.create('never read')['id']}".encode()
    with Lock(database):
        asked = [
            ask(running, b"GET", path),
            ask(running, b"POST", b"/api/v1/memories", b'{"content": "perhaps stored"}'),
        ]
        eventually(lambda: in_flight(running) == len(asked))
        running.connection.close()
        running.process.terminate()
        assert running.process.wait(25) == 0
        assert any("stopping_incomplete" in line for line in running.log())
        for connection in asked:
            connection.close()


def test_between_signal_and_end_answers_ask_to_close(postgres, launch):
    running = launch(postgres.new_database())
    running.get("/api/v1/noop")
    running.process.terminate()
    seen = set()
    try:
        while running.process.poll() is None:
            reply = running.get("/api/v1/noop")
            assert reply.status == 200
            seen.add(reply.headers.get("connection", ""))
    except OSError:
        pass
    assert seen <= {"", "close"}
    assert running.stop() == 0


@pytest.mark.parametrize("victim", ["supervisor", "child"])
def test_no_process_outlives_the_others(postgres, launch, victim):
    running = launch(postgres.new_database(), "--workers", "2")
    supervisor = psutil.Process(running.process.pid)
    children = supervisor.children()
    assert len(children) == 2
    (supervisor if victim == "supervisor" else children[0]).kill()
    running.process.communicate(timeout=20)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    assert refused(running.port)
    assert running.process.returncode == (-9 if victim == "supervisor" else 1)

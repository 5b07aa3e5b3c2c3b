"""When things end: the database, the service, the patience of an operator."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest


def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_database_that_goes_away_and_comes_back(own_postgres, launch):
    running = launch(own_postgres.new_database())
    try:
        memory = running.create("before")
        path = f"/api/v1/memories/{memory['id']}"
        own_postgres.stop()
        for reply in (
            running.post("/api/v1/memories", {"content": "meanwhile"}),
            running.post("/api/v1/search", {"query_text": "meanwhile"}),
            running.get(path + "?include=embedding"),
        ):
            assert reply.status == 503, reply.body
            assert reply.json["error"]["code"] == "DATABASE_UNAVAILABLE"
            assert int(reply.headers["retry-after"]) >= 1
        eventually(lambda: running.get("/api/v1/health").status == 503)
        assert running.get("/api/v1/noop").status == 200
        # Kept in the process, but nobody could say whether it has been changed.
        eventually(lambda: running.get(path).status == 503)
        own_postgres.start()
        eventually(lambda: running.post("/api/v1/memories", {"content": "after"}).status == 200)
        eventually(lambda: running.get("/api/v1/health").status == 200)
        assert running.search("before", limit=1)[0]["memory"]["id"] == memory["id"]
    finally:
        assert running.stop() == 0


@pytest.mark.parametrize("victim", ["service", "database"])
def test_what_was_acknowledged_survives_kill_9(own_postgres, launch, victim):
    database = own_postgres.new_database()
    running = launch(database)
    acknowledged = []
    halt = threading.Event()

    def write(number):
        connection = running.connect()
        count = 0
        while not halt.is_set():
            count += 1
            try:
                body = {"content": f"writer {number} memory {count}"}
                reply = running.call("POST", "/api/v1/memories", body, connection=connection)
            except OSError:
                return
            except Exception:
                return
            if reply.status != 200:
                return
            acknowledged.append(reply.json["id"])

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    eventually(lambda: len(acknowledged) >= 200)
    if victim == "service":
        running.process.kill()
        running.process.communicate()
    else:
        own_postgres.crash()
    halt.set()
    for writer in writers:
        writer.join(20)
    if victim == "database":
        own_postgres.start()
        eventually(lambda: running.get("/api/v1/health").status == 200)
    else:
        running = launch(database)
    try:
        missing = [key for key in acknowledged if running.get(f"/api/v1/memories/{key}").status != 200]
        assert missing == []
    finally:
        assert running.stop() == 0


def test_sigterm_answers_what_was_accepted(postgres, launch):
    running = launch(postgres.new_database())
    sockets = []
    for number in range(20):
        connection = socket.create_connection(("127.0.0.1", running.port))
        connection.settimeout(20)
        body = b'{"content": "last words %d"}' % number
        head = b"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        sockets.append(connection)
    eventually(lambda: b"memory_requests_total" in running.get("/metrics").body)
    running.process.send_signal(signal.SIGTERM)
    answers = [connection.recv(65_536) for connection in sockets]
    for connection in sockets:
        connection.close()
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers), answers
    assert running.stop() == 0


def start(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "reference_impl", *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_usage_errors_are_status_2_and_help_is_0():
    for arguments in ((), ("--database", "x", "--port", "no"), ("--database", "x", "--dimension", "8")):
        done = start(*arguments, MEMORY_DATABASE_URL="")
        assert done.returncode == 2
        assert "error:" in done.stderr
    assert "MEMORY_DATABASE_URL" in start("--help").stdout


def test_start_up_errors_are_one_line_and_status_1(service, database, port):
    nowhere = start("--database", f"postgresql://x@127.0.0.1:{port}/x", "--port", str(port))
    taken = start("--database", database, "--port", str(service.port))
    other = start("--database", database, "--port", str(port), "--dimension", "512")
    for done, expected in ((nowhere, "cannot reach"), (taken, "in use"), (other, "1536")):
        assert done.returncode == 1
        assert expected in done.stderr
        assert done.stderr.count("\n") == 1


def test_another_dimension_and_several_workers(postgres, launch):
    running = launch(postgres.new_database(), "--dimension", "300", "--workers", "2")
    try:
        memory = running.create("small vectors")
        assert len(running.get(f"/api/v1/memories/{memory['id']}?include=embedding").json["embedding"]) == 300
        assert running.search("small vectors", limit=1)[0]["memory"]["id"] == memory["id"]
    finally:
        assert running.stop() == 0

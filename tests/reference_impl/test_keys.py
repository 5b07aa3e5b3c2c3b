"""Keys of callers: who is let in, and that nobody else's machine is served without them."""

import http.client
import subprocess
import sys
from pathlib import Path

import pytest

from reference_impl.addresses import is_loopback, resolve, url
from reference_impl.errors import ApiError
from reference_impl.keys import Keys
from reference_impl.settings import parse

ROOT = Path(__file__).parents[2]


@pytest.fixture
def keyed(postgres, launch, monkeypatch):
    def start(*options):
        monkeypatch.setenv("MEMORY_API_KEYS", "first-key, second.KEY==")
        return launch(postgres.new_database(), *options)

    return start


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two"])
def test_with_keys_every_path_but_health_needs_one(keyed, options):
    running = keyed(*options)
    try:
        assert running.get("/api/v1/health").status == 200
        for method, path, body in (
            ("GET", "/api/v1/noop", None),
            ("POST", "/api/v1/memories", {"content": "x"}),
            ("POST", "/api/v1/search", {"query_text": "x"}),
            ("GET", "/metrics", None),
            ("GET", "/openapi.json", None),
            ("GET", "/nowhere", None),
            ("GET", "/api/v1/health/", None),
            ("DELETE", "/api/v1/memories", None),
        ):
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic first-key"}):
                reply = running.call(method, path, body, header)
                assert (reply.status, reply.json["error"]["code"]) == (401, "UNAUTHORIZED"), (path, header)
                assert reply.headers["www-authenticate"].startswith("Bearer")
                assert reply.json["error"]["request_id"] == reply.headers["x-request-id"]
        for value in ("Bearer first-key", "bearer second.KEY==", "Bearer  first-key"):
            assert running.get("/api/v1/noop", Authorization=value).status == 200
        document = running.get("/openapi.json", Authorization="Bearer first-key").json
        assert document["security"] == [{"key": []}]
    finally:
        assert running.stop() == 0


def test_without_keys_nobody_needs_one(service):
    assert service.get("/api/v1/noop").status == 200
    assert service.get("/api/v1/noop", Authorization="Bearer whatever").status == 200
    assert {} in service.get("/openapi.json").json["security"]


def test_with_keys_any_address_may_be_listened_on(keyed):
    running = keyed("--host", "0.0.0.0")
    try:
        assert running.get("/api/v1/noop").status == 401
    finally:
        assert running.stop() == 0


def test_keys_are_for_the_environment_alone(tmp_path):
    help_text = subprocess.run(
        [sys.executable, "-m", "reference_impl", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "MEMORY_API_KEYS" in help_text
    assert "--api-keys" not in help_text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "no.such.host.invalid"])
def test_other_machines_are_not_served_without_keys(monkeypatch, capsys, host):
    monkeypatch.delenv("MEMORY_API_KEYS", raising=False)
    with pytest.raises(SystemExit) as stopped:
        parse(["--database", "postgresql://x", "--host", host])
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"--host {host}" in last
    assert "MEMORY_API_KEYS" in last
    monkeypatch.setenv("MEMORY_API_KEYS", "k")
    assert parse(["--database", "postgresql://x", "--host", host]).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_is_served_without_keys(monkeypatch, host):
    monkeypatch.delenv("MEMORY_API_KEYS", raising=False)
    assert is_loopback(host)
    assert parse(["--database", "postgresql://x", "--host", host]).host == host


def test_a_name_is_listened_on_at_its_address(postgres, launch):
    running = launch(postgres.new_database(), "--host", "localhost")
    try:
        assert running.ready.split()[1] == f"http://localhost:{running.port}"
        connection = http.client.HTTPConnection(resolve("localhost"), running.port, timeout=10)
        assert running.call("GET", "/api/v1/noop", connection=connection).status == 200
        connection.close()
    finally:
        assert running.stop() == 0
    assert url("::1", 80) == "http://[::1]:80"


@pytest.mark.parametrize("keys", [",", " , ", "with space", "ünï", "a,b c"])
def test_keys_that_no_caller_could_send_are_refused_and_not_shown(monkeypatch, capsys, keys):
    monkeypatch.setenv("MEMORY_API_KEYS", keys)
    with pytest.raises(SystemExit) as stopped:
        parse(["--database", "postgresql://x"])
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "MEMORY_API_KEYS" in last
    assert keys.strip(" ,") == "" or keys not in last


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "key", "Bearer key2", "Bearer ke", "Bearer \u00ff"])
def test_what_is_no_key(header):
    with pytest.raises(ApiError) as refused:
        Keys(["key", "other"]).require(header)
    assert refused.value.status == 401


def test_what_is_a_key():
    for key in ("key", "other"):
        Keys(["key", "other"]).require(f"Bearer {key}")
    assert not Keys()
    assert not Keys.of_environment({})
    assert not Keys.of_environment({"MEMORY_API_KEYS": ""})

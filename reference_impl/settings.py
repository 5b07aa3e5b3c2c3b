"""What can be set from outside: by option, else by environment variable, else by default."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from reference_impl import __version__

_DESCRIPTION: Final = """\
Memory service over PostgreSQL and pgvector (0.8.4 or later). Creates its schema in the database it is
given, then prints "ready URL pid N" on stdout. Logs are JSON lines on stderr. On SIGTERM or SIGINT it
answers what it has accepted, writes pending counts, and exits with status 0. Exit status 1: cannot start;
2: wrong usage."""
_EPILOG: Final = """\
Every option has an environment variable: MEMORY_DATABASE_URL for --database, MEMORY_PORT for --port,
MEMORY_POOL_MAX for --pool-max, and so on. An option on the command line wins.

example:
  python -m reference_impl --database postgresql://postgres@127.0.0.1:5432/memories --port 3333
  curl -s 127.0.0.1:3333/api/v1/memories -d '{"content": "Ada prefers tea"}'
  curl -s 127.0.0.1:3333/api/v1/search -d '{"query_text": "what does Ada drink?"}'
"""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the service can be told. Times in seconds."""

    database: str
    host: str = "127.0.0.1"
    port: int = 3333
    workers: int = 1
    dimension: int = 1536
    pool_min: int = 10
    pool_max: int = 50
    pool_idle: float = 300.0
    pool_lifetime: float = 1800.0
    acquire_timeout: float = 2.0
    command_timeout: float = 30.0
    cache_size: int = 10_000
    cache_mib: int = 128
    cache_ttl: float = 300.0
    writers: int = 2
    group_max: int = 128
    queue_max: int = 4_096
    log_level: str = "warning"


_HELP: Final[dict[str, str]] = {
    "host": "address to listen on",
    "port": "port to listen on",
    "workers": "processes that share the port; with more than one the memory cache is off",
    "dimension": "length of embeddings, 256 to 3072; fixed once the schema exists",
    "pool_min": "connections opened at start",
    "pool_max": "connections at most, per process",
    "pool_idle": "close a connection unused for this long, s",
    "pool_lifetime": "renew connections this often, s",
    "acquire_timeout": "wait for a free connection at most, s; then 503",
    "command_timeout": "wait for a statement at most, s; then 503",
    "cache_size": "memories kept in the process; 0 turns the cache off",
    "cache_mib": "bound on what they occupy, MiB",
    "cache_ttl": "keep a memory at most, s",
    "writers": "group commits in flight",
    "group_max": "creates per group commit at most",
    "queue_max": "creates waiting for a group commit at most; then 429",
    "log_level": "debug, info, warning or error; info logs every request",
}

_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "port": (1, 65_535),
    "workers": (1, 64),
    "dimension": (256, 3_072),
    "pool_min": (1, 1_000),
    "pool_max": (1, 1_000),
    "writers": (1, 16),
    "group_max": (1, 1_000),
    "queue_max": (1, 1_000_000),
}


def variable(name: str) -> str:
    """The environment variable behind a setting."""
    return "MEMORY_DATABASE_URL" if name == "database" else f"MEMORY_{name.upper()}"


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Reads command line and environment.

    Args:
        arguments: without the program's name; None for `sys.argv`.

    Raises:
        SystemExit: with status 2 and a message on stderr for wrong usage, 0 after --help or --version.
    """
    parser = argparse.ArgumentParser(
        prog="python -m reference_impl",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--database", metavar="URL", help="PostgreSQL URL (required)")
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings) if field.name in _HELP}
    for name, default in defaults.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            metavar=type(default).__name__.upper(),
            help=f"{_HELP[name]} (default: {default})",
        )
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {}
    for name, value in given.items():
        text = os.environ.get(variable(name))
        if value is not None:
            values[name] = value
        elif text:
            try:
                values[name] = type(defaults.get(name, ""))(text)
            except ValueError:
                parser.error(f"{variable(name)}: {text!r} is not a number")
    if "database" not in values:
        parser.error("no database: give --database URL or set MEMORY_DATABASE_URL")
    settings = Settings(**values)
    for name, (low, high) in _BOUNDS.items():
        if not low <= getattr(settings, name) <= high:
            parser.error(f"--{name.replace('_', '-')}: not within {low:g} to {high:g}")
    if settings.pool_min > settings.pool_max:
        parser.error("--pool-min: larger than --pool-max")
    if settings.log_level not in {"debug", "info", "warning", "error"}:
        parser.error("--log-level: one of debug, info, warning, error")
    return settings

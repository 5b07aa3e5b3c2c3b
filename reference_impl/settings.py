"""What can be set from outside: by option, else by environment variable, else by default."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from reference_impl import __version__
from reference_impl.addresses import is_loopback
from reference_impl.keys import KEYS_VARIABLE, Keys

_DESCRIPTION: Final = """\
Memory service over PostgreSQL and pgvector (0.8.4 or later). Creates its schema in the database it is
given, then prints "ready URL pid N" on stdout. Logs are JSON lines on stderr. On SIGTERM or SIGINT it
takes no more requests, answers what it has accepted, writes pending counts, and exits with status 0. Exit
status 1: cannot start; 2: wrong usage."""
_EPILOG: Final = f"""\
Every option has an environment variable: MEMORY_DATABASE_URL for --database, MEMORY_PORT for --port,
MEMORY_POOL_MAX for --pool-max, and so on. An option on the command line wins.

{KEYS_VARIABLE}, in the environment alone, since everybody on a machine can read command lines: keys of
the callers, comma separated. With keys, every request but those for /api/v1/health needs the header
"Authorization: Bearer KEY". Without, the service listens on loopback addresses only.

example:
  python -m reference_impl --database postgresql://postgres@127.0.0.1:5432/memories --port 3333
  curl -s 127.0.0.1:3333/api/v1/memories -d '{{"content": "Ada prefers tea"}}'
  curl -s 127.0.0.1:3333/api/v1/search -d '{{"query_text": "what does Ada drink?"}}'
"""


def _of(low: float, high: float, text: str) -> Meta:
    return Meta(ge=low, le=high, description=text)


_DAY: Final = 86_400
_YEARS: Final = 36_500
_MANY: Final = 1_000_000
# More at once only push each other out of the processor's caches.
_SEARCHES: Final = min(16, 2 * (os.cpu_count() or 4) + 2)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the service can be told. Times in seconds, unless the name says days."""

    database: Annotated[str, Meta(description="PostgreSQL URL (required)")]
    host: Annotated[str, Meta(description="address to listen on; others than loopback need keys, see below")] = (
        "127.0.0.1"
    )
    port: Annotated[int, _of(1, 65_535, "port to listen on")] = 3333
    workers: Annotated[int, _of(1, 64, "processes that share the port")] = 1
    dimension: Annotated[int, _of(256, 3_072, "length of embeddings; fixed once the schema exists")] = 1536
    pool_min: Annotated[int, _of(1, 1_000, "connections opened at start")] = 10
    pool_max: Annotated[int, _of(1, 1_000, "connections at most, per process")] = 50
    pool_idle: Annotated[float, _of(0, _DAY, "close a connection unused for this long, s; 0: never")] = 300.0
    pool_lifetime: Annotated[float, _of(1, 30 * _DAY, "renew connections this often, s")] = 1800.0
    acquire_timeout: Annotated[float, _of(0.01, 600, "wait for a free connection at most, s; then 503")] = 2.0
    command_timeout: Annotated[float, _of(0.01, 3_600, "wait for a statement at most, s; then 503")] = 30.0
    cache_size: Annotated[int, _of(0, 10 * _MANY, "memories kept in the process; 0 turns the cache off")] = 10_000
    cache_mib: Annotated[int, _of(1, _MANY, "bound on what they occupy, MiB")] = 128
    cache_ttl: Annotated[float, _of(0.001, _DAY, "keep a memory at most, s")] = 300.0
    search_cache_size: Annotated[int, _of(0, _MANY, "searches whose answers are kept; 0 turns that off")] = 1_000
    search_cache_mib: Annotated[int, _of(1, _MANY, "bound on what they occupy, MiB")] = 64
    search_cache_lag: Annotated[float, _of(0, _DAY, "a kept answer may lack memories created since, for s")] = 1.0
    candidates_max: Annotated[
        int, _of(0, 100 * _MANY, "memories in the process' own search index at most; 0: PostgreSQL searches alone")
    ] = 250_000
    search_concurrency: Annotated[int, _of(1, 1_000, "searches at work at most")] = min(
        16, 2 * (os.cpu_count() or 4) + 2
    )
    search_queue: Annotated[int, _of(0, _MANY, "searches waiting for that at most; then 429")] = 1_024
    read_concurrency: Annotated[int, _of(1, 1_000, "reads from the database and updates at work at most")] = 12
    read_queue: Annotated[int, _of(0, _MANY, "of those, waiting at most; then 429")] = 4_096
    writers: Annotated[int, _of(1, 16, "group commits in flight")] = 1
    group_max: Annotated[int, _of(1, 1_000, "creates per group commit at most")] = 128
    queue_max: Annotated[int, _of(1, _MANY, "creates waiting for a group commit at most; then 429")] = 4_096
    arrivals_max: Annotated[
        int, _of(1_000, 10 * _MANY, "memories not in the search indexes yet at most; then creates wait")
    ] = 100_000
    working_to_warm_days: Annotated[float, _of(0, _YEARS, "a working memory unread for this long turns warm")] = 7.0
    warm_to_cold_days: Annotated[float, _of(0, _YEARS, "a warm memory unread for this long turns cold")] = 30.0
    tier_min_accesses: Annotated[int, _of(0, _MANY, "reads that keep a memory in its tier, or bring it up")] = 5
    tier_importance: Annotated[float, _of(0, 1, "importance above which a memory does the same")] = 0.8
    tier_dwell_days: Annotated[float, _of(0, _YEARS, "no second move of a memory before this time")] = 1.0
    tier_batch: Annotated[int, _of(1, 100_000, "memories moved per transaction at most")] = 1_000
    tier_interval: Annotated[float, _of(0, 30 * _DAY, "move memories between tiers this often, s; 0: never")] = 300.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="debug, info, warning or error; info logs every request"),
    ] = "warning"


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
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    values = {name: os.environ.get(variable(name)) if text is None else text for name, text in given.items()}
    if not values["database"]:
        parser.error("no database: give --database URL or set MEMORY_DATABASE_URL")
    try:
        settings = msgspec.convert({name: text for name, text in values.items() if text}, Settings, strict=False)
    except msgspec.ValidationError as error:
        parser.error(_complaint(str(error), values, given))
    if settings.pool_min > settings.pool_max:
        parser.error("--pool-min: larger than --pool-max")
    try:
        keys = Keys.of_environment()
    except ValueError as error:
        parser.error(str(error))
    if not keys and not is_loopback(settings.host):
        parser.error(
            f"--host {settings.host}: other machines may be served only with keys: set {KEYS_VARIABLE} in the"
            " environment, or listen on 127.0.0.1"
        )
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_impl",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    for field in msgspec.structs.fields(Settings):
        meta: Meta = field.type.__metadata__[0]
        default = "" if field.required else f" (default: {field.default})"
        parser.add_argument(_option(field.name), metavar=_placeholder(field), help=f"{meta.description}{default}")
    return parser


def _placeholder(field: msgspec.structs.FieldInfo) -> str:
    kind: Any = field.type.__origin__
    return {int: "INT", float: "FLOAT"}.get(kind, "URL" if field.name == "database" else "TEXT")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _complaint(text: str, values: dict[str, str | None], given: dict[str, str | None]) -> str:
    """Names the option or variable at fault, its value, and what would do."""
    name = text.rpartition("$.")[2].rstrip("`")
    field = next(field for field in msgspec.structs.fields(Settings) if field.name == name)
    kind, meta = field.type.__origin__, field.type.__metadata__[0]
    if choices := get_args(kind):
        wanted = f"one of {', '.join(choices)}"
    else:
        wanted = f"a {'whole ' if kind is int else ''}number within {meta.ge:g} to {meta.le:g}"
    where = _option(name) if given[name] is not None else variable(name)
    return f"{where}: {values[name]!r} is not {wanted}"

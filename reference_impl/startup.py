"""From settings to an exit status, with one clear line on stderr if the service cannot start."""

from __future__ import annotations

import os
import sys

import asyncpg
import uvloop

from reference_impl import logs
from reference_impl.addresses import PortInUseError, require_port
from reference_impl.embedding import ModelMissingError
from reference_impl.server import serve
from reference_impl.settings import Settings
from reference_impl.storage.migrations import MigrationError
from reference_impl.workers import CHILD, end_with_parent, supervise


def run(settings: Settings) -> int:
    """Runs the service.

    Returns:
        Exit status: 0 after a signal, 1 if the service cannot start.
    """
    logs.configure(settings.log_level)
    try:
        if CHILD in os.environ:
            end_with_parent()
        else:
            require_port(settings.host, settings.port)
            if settings.workers > 1:
                return supervise(settings)
        uvloop.run(serve(settings))
    except (PortInUseError, MigrationError, ModelMissingError) as error:
        return _refuse(str(error))
    except (OSError, TimeoutError) as error:
        return _refuse(f"cannot reach the database: {error or 'it does not answer'}")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return _refuse(f"the database refuses: {error}")
    return 0


def _refuse(why: str) -> int:
    line = " ".join(why.split())
    print(f"reference_impl: {line}", file=sys.stderr)
    return 1

"""Starts the misbehaving server, hears what it did, and ends it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, Self

from harness.core.errors import StackError

SERVER: Final = Path(__file__).with_name("server.py")


class MisbehavingServer:
    """One such server on a free port. A context manager that never leaves it behind.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches the command alone.

    Args:
        options: of server.py.
        environment: of the process.

    Raises:
        StackError: it did not come up.

    Attributes:
        url: its root.
        frozen: seconds of each freeze as the server itself measured it; known when it has ended.
    """

    def __init__(self, *options: object, environment: Mapping[str, str] | None = None) -> None:
        self.frozen: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER), *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=os.environ if environment is None else environment,
            text=True,
        )
        try:
            self.url = f"http://127.0.0.1:{json.loads(self._output.readline())['port']}"
        except ValueError as error:
            self.close()
            raise StackError("the misbehaving server did not come up", hint="its last words stand above") from error
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and read what it said of its freezes."""
        self._process.kill()  # also where it is stopped
        if not self._output.closed:
            for line in self._output:
                with contextlib.suppress(ValueError, KeyError):
                    self.frozen.append(json.loads(line)["frozen"])
            self._output.close()
        self._process.wait()

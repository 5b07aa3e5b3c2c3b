"""Metrics of several processes behind one port: whichever is asked answers for all, each under its own label."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = "MEMORY_WORKER_FOLDER"
NUMBER: Final = "MEMORY_WORKER"
_SECONDS: Final = 1.0


class Siblings:
    """The exposition of a process together with those of its siblings, which it asks over Unix sockets in a folder.

    A sibling that does not answer within a second, or that is gone, is left out.

    Args:
        own: the exposition of this process.
        folder: that all siblings share; None for a process without any.
        worker: value of the label `worker`, different for each.
    """

    def __init__(self, own: Callable[[], bytes], folder: Path | None = None, worker: str = "") -> None:
        self._own = own
        self._folder = folder
        self._worker = worker
        self._server: asyncio.Server | None = None

    @classmethod
    def of_environment(cls, own: Callable[[], bytes]) -> Siblings:
        """As the variables `FOLDER` and `NUMBER` say; without them, alone."""
        folder = os.environ.get(FOLDER)
        return cls(own, Path(folder) if folder else None, os.environ.get(NUMBER, ""))

    async def start(self) -> None:
        """Answers siblings from now on.

        Raises:
            OSError: if there can be no socket in the folder.
        """
        if self._folder is not None:
            self._server = await asyncio.start_unix_server(self._answer, self._folder / self._worker)

    async def stop(self) -> None:
        """Ends that."""
        if self._server is not None and self._folder is not None:
            self._server.close()
            (self._folder / self._worker).unlink(missing_ok=True)

    async def exposition(self) -> bytes:
        """The text that Prometheus scrapes, of all."""
        if self._folder is None:
            return self._own()
        others = [path for path in sorted(self._folder.iterdir()) if path.name != self._worker]
        answers = await asyncio.gather(*map(_ask, others))
        found = {self._worker: self._own()}
        found |= {path.name: answer for path, answer in zip(others, answers, strict=True) if answer}
        return merge(found)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self._own())
            await writer.drain()
        writer.close()


async def _ask(path: Path) -> bytes:
    """What a sibling says; nothing if it is away."""
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


def merge(expositions: Mapping[str, bytes]) -> bytes:
    """One exposition out of several, each sample with a label `worker`: its key here."""
    families: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for worker, exposition in expositions.items():
        label = b'worker="%s"' % worker.encode()
        about: list[bytes] = []
        samples: list[bytes] = []
        for line in exposition.splitlines():
            if line.startswith(b"# HELP "):
                about, samples = families.setdefault(line.split(b" ", 3)[2], ([], []))
            if not line.startswith(b"#"):
                samples.append(_labelled(line, label))
            elif line not in about:
                about.append(line)
    return b"\n".join(line for about, samples in families.values() for line in (*about, *samples)) + b"\n"


def _labelled(sample: bytes, label: bytes) -> bytes:
    # Values of labels may contain braces and spaces; the number behind them does not.
    labels, brace, value = sample.rpartition(b"}")
    if brace:
        return b"%s,%s}%s" % (labels, label, value)
    name, _, value = sample.partition(b" ")
    return b"%s{%s} %s" % (name, label, value)

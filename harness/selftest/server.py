"""A server with planned misbehaviour, in a process of its own: `python server.py [--freeze S --at T] ...`.

It answers every path alike, but tells the ids of a batch. A freeze blocks its whole loop, as a stop-the-world pause
would. On standard output it says, in JSON lines, which port it took and how long each freeze really was.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time

import uvloop

ORPHANED = 1.0
"""Seconds between two looks at whether the parent still lives."""


def delays(text: str) -> list[float]:
    """Seconds that each request of a cycle is held, shuffled the same way always.

    Args:
        text: milliseconds x how many: "5x80,20x20".

    Raises:
        ValueError: the text is something else.
    """
    parts = [part.split("x") for part in text.split(",") if part]
    cycle = [float(milliseconds) / 1e3 for milliseconds, count in parts for _ in range(int(count))]
    random.Random(1).shuffle(cycle)
    return cycle


class State:
    """What all connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cycle = delays(options.delays)
        self.answered = 0
        self.begun: float | None = None
        self.frozen = False

    def misbehave(self) -> float:
        """Freeze if the time has come; returns the seconds for which to hold the answer."""
        now = time.monotonic()
        self.begun = self.begun or now
        if self.options.freeze and not self.frozen and now - self.begun >= self.options.at:
            self.frozen = True
            time.sleep(self.options.freeze)
            tell(frozen=time.monotonic() - now)
        if self.options.work:
            time.sleep(self.options.work / 1e3)
        self.answered += 1
        return self.cycle[self.answered % len(self.cycle)] if self.cycle else 0.0


class Connection(asyncio.Protocol):
    """HTTP/1.1 with kept-alive connections: one answer for each complete request."""

    def __init__(self, state: State) -> None:
        self.options, self.state, self.data = state.options, state, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            self.known = b"authorization: bearer " + self.options.key.encode().lower() in head
            _, found, length = head.partition(b"content-length:")
            size = int(length.split(b"\r\n")[0]) if found else 0
            if len(self.data) < end + 4 + size:
                return
            path = head.split(b" ")[1]
            if self.options.hang_up:
                self.transport.abort()
                return
            body = self.data[end + 4 : end + 4 + size]
            self.data = self.data[end + 4 + size :]
            self.serve(path, body)

    def serve(self, path: bytes, sent: bytes) -> None:
        """Answer one request, at once or when it has been held long enough."""
        begun = time.perf_counter()
        hold = 0.0 if path.endswith(b"/health") else self.state.misbehave()
        if hold:
            asyncio.get_running_loop().call_later(hold, self.answer, path, sent, begun)
        else:
            self.answer(path, sent, None)

    def answer(self, path: bytes, sent: bytes, begun: float | None) -> None:
        """Write an answer, with the server's own time for it: true where it was held, else half a millisecond."""
        own = 0.5 if begun is None else (time.perf_counter() - begun) * 1e3
        status = 200 if path.endswith(b"/health") and not self.options.sick else self.options.status
        if self.options.key and not path.endswith(b"/health") and not self.known:
            status = 401
        if not path.startswith(self.options.root.encode()):
            status = 404
        body = b'{"status":"healthy","version":"fake"}'
        if b"/memories/batch" in path:
            results = [{"status": 200, "id": str(number)} for number in range(len(json.loads(sent)["memories"]))]
            body = json.dumps({"results": results}).encode()
        timing = b"" if self.options.untimed else b"Server-Timing: total;dur=%.3f\r\n" % own
        self.transport.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
            % (status, timing, len(body), body)
        )


def tell(**fact: float) -> None:
    """One JSON line for whoever started the server; who is gone already needs none, and no server either."""
    try:
        sys.stdout.write(json.dumps(fact) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)


async def run(options: argparse.Namespace) -> None:
    """Serve until ended, or until the parent is gone."""
    state, parent = State(options), os.getppid()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), options.host, options.port, backlog=4096)
    tell(port=server.sockets[0].getsockname()[1])
    while os.getppid() == parent:
        await asyncio.sleep(ORPHANED)


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--freeze", type=float, default=0.0, help="seconds of the one freeze")
    parser.add_argument("--at", type=float, default=0.0, help="seconds after the first request from which it freezes")
    parser.add_argument("--delays", default="", help="a cycle of milliseconds x how many: 5x80,20x20")
    parser.add_argument("--work", type=float, default=0.0, help="milliseconds for which each request holds the loop")
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--hang-up", action="store_true", help="close every connection instead of answering")
    parser.add_argument("--root", default="")
    parser.add_argument("--untimed", action="store_true", help="no Server-Timing")
    parser.add_argument("--key", default="", help="the bearer key that all but health want")
    parser.add_argument("--sick", action="store_true", help="health answers --status too")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(run(arguments()))

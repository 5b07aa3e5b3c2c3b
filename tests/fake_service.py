"""A service with planned misbehaviour, in a process of its own: `python fake_service.py PORT [--freeze S --at T] ...`.

It answers every path alike. A freeze blocks its whole loop, as a stop-the-world pause would.
"""

import argparse
import asyncio
import time

import uvloop


class Connection(asyncio.Protocol):
    """HTTP/1.1 with kept-alive connections: one answer for each complete request."""

    def __init__(self, options: argparse.Namespace, state: dict[str, float]) -> None:
        self.options, self.state, self.data = options, state, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            _, found, length = head.partition(b"content-length:")
            size = int(length.split(b"\r\n")[0]) if found else 0
            if len(self.data) < end + 4 + size:
                return
            path = head.split(b" ")[1]
            if self.options.hang_up:
                self.transport.abort()
                return
            self.data = self.data[end + 4 + size :]
            self.answer(path)

    def answer(self, path: bytes) -> None:
        health = path.endswith(b"/health")
        if not health:
            self.misbehave()
        status = 200 if health and not self.options.sick else self.options.status
        if not path.startswith(self.options.root.encode()):
            status = 404
        body = b'{"status":"healthy","version":"fake"}'
        timing = b"" if self.options.untimed else b"Server-Timing: total;dur=0.500\r\n"
        answer = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
            status,
            timing,
            len(body),
            body,
        )
        if self.options.delay:
            asyncio.get_running_loop().call_later(self.options.delay, self.transport.write, answer)
        else:
            self.transport.write(answer)

    def misbehave(self) -> None:
        now = time.monotonic()
        begun = self.state.setdefault("begun", now)
        if self.options.freeze and now - begun >= self.options.at and "frozen" not in self.state:
            self.state["frozen"] = now
            time.sleep(self.options.freeze)


async def serve(options: argparse.Namespace) -> None:
    state: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(options, state), "127.0.0.1", options.port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--freeze", type=float, default=0.0)
    parser.add_argument("--at", type=float, default=0.0)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--hang-up", action="store_true", help="close every connection instead of answering")
    parser.add_argument("--root", default="")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--untimed", action="store_true", help="no Server-Timing")
    parser.add_argument("--sick", action="store_true", help="health answers --status too")
    uvloop.run(serve(parser.parse_args()))

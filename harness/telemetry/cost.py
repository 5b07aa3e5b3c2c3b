"""What watching costs: `python -m harness.telemetry.cost URL [DATABASE_URL]` saturates a service with and without it.

Clients in a process of their own, who never think, in pairs of rounds: one with a `Watch` in this process, as in a
run, and one without, in an order that a coin decides. Quote the ratio, not the rates. The service should have nothing
else to do meanwhile.
"""

import asyncio
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.core.paired import estimate
from harness.telemetry.watch import Watch

CLIENTS, ROUNDS, SECONDS = 16, 30, 4.0
"""What disturbs a machine mostly lasts longer than a round, and so touches both of a pair."""
PATH = "/api/v1/noop"


async def _client(url: str, deadline: float) -> int:
    """Requests answered until `deadline`, one after another over one connection."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    request = f"GET {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    done = 0
    while time.monotonic() < deadline:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.partition(b"\r\n")[0]:
            status = head.partition(b"\r\n")[0].decode()
            raise RuntimeError(f"{url}{PATH} answers {status}")
        await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        done += 1
    writer.close()
    return done


async def _clients(url: str) -> float:
    began = time.monotonic()
    counts = await asyncio.gather(*(_client(url, began + SECONDS) for _ in range(CLIENTS)))
    return sum(counts) / (time.monotonic() - began)


def rate(url: str) -> float:
    """Requests per second of one round."""
    command = [sys.executable, "-m", "harness.telemetry.cost", "--clients", url]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def rounds(url: str, database_url: str | None, count: int) -> Iterator[tuple[float, float, float]]:
    """Rates watched and unwatched, in turns, and the share of a core that the watch itself took."""
    for _ in range(count):
        found: dict[bool, float] = {}
        for watched in random.sample((True, False), 2):
            if not watched:
                found[watched] = rate(url)
                continue
            watch, began = Watch(url, database_url), time.monotonic()
            watch.start()
            watch.begin_measure()
            found[watched] = rate(url)
            share = watch.stop().seconds_spent / (time.monotonic() - began)
        yield found[True], found[False], share


def main(url: str, database_url: str | None = None, count: int = ROUNDS) -> None:
    """Print the paired ratio with its interval."""
    found = list(rounds(url, database_url, count))
    for name, column in (("watched", 0), ("not watched", 1)):
        print(f"{name:21} {statistics.median(row[column] for row in found):8.0f} requests/s")
    told = estimate([math.log(watched / unwatched) for watched, unwatched, _ in found])
    assert told is not None  # there are rounds enough
    print(f"watched / not watched {told.ratio:8.3f}  (95% interval {told.low:.3f} to {told.high:.3f}, {count} rounds)")
    print(f"the watch's own CPU   {statistics.median(row[2] for row in found):8.1%} of a core")


if __name__ == "__main__":
    if sys.argv[1] == "--clients":
        print(asyncio.run(_clients(sys.argv[2])))
    else:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)

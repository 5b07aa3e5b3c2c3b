"""Where the service listens: names to addresses, and whether they can be had."""

from __future__ import annotations

import ipaddress
import socket


class PortInUseError(Exception):
    """Another process listens there, or this address is not ours."""


def resolve(host: str) -> str:
    """The first address of a host.

    Raises:
        PortInUseError: if it has none.
    """
    return _addresses(host)[0]


def is_loopback(host: str) -> bool:
    """Whether a host, by all of its addresses, is reached from this machine alone; unknown ones are not."""
    try:
        return all(ipaddress.ip_address(address).is_loopback for address in _addresses(host))
    except (PortInUseError, ValueError):
        return False


def require_port(host: str, port: int) -> None:
    """Checks that host and port can be listened on; Granian itself would share a port in silence.

    Raises:
        PortInUseError: if not.
    """
    address = resolve(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            raise PortInUseError(f"cannot listen on {host}:{port}: {error.strerror}") from None


def url(host: str, port: int) -> str:
    """Where the service is reached."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise PortInUseError(f"cannot listen on {host!r}: {error}") from None
    return [str(entry[4][0]) for entry in found]

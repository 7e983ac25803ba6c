"""Listening: sockets that the parent binds once and hands to its children."""

import socket

BACKLOG = 4096
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # where a person can reach them


class AddressRefused(Exception):
    """Nothing can listen there; the text says why."""


def listen(host: str, port: int) -> socket.socket:
    """Raises AddressRefused."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise AddressRefused(f"the host {host!r} is not known: {error}") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)  # localhost is 127.0.0.1 first
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressRefused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def listen_near(port: int) -> socket.socket:
    """On loopback, at the port if it is free, else at any other."""
    try:
        return listen("127.0.0.1", port)
    except AddressRefused:
        return listen("127.0.0.1", 0)


def url_of(listener: socket.socket, host: str) -> str:
    """For a person's browser: the real port, and loopback for a wildcard."""
    port = listener.getsockname()[1]
    shown = WILDCARDS.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def hosts_allowed(host: str) -> str:
    """For Django's ALLOWED_HOSTS: who listens everywhere is called by any name."""
    if host in WILDCARDS:
        return "*"
    named = f"[{host}]" if ":" in host else host
    return ",".join(dict.fromkeys(["localhost", "127.0.0.1", "[::1]", named]))

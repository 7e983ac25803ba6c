"""Target: where an upstream listens, and how a request to it is written."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from proxy.upstreams.contract import Outbound

REMEMBERED_MAX = 1024
PORTS = {"http": 80, "https": 443}
URL_SAFE = "%/:?#[]@!$&'()*+,;=~"  # what an address may hold as it is; the rest is percent-encoded
USER_AGENT = "tollgate"  # some providers' front doors turn away who has none


@dataclass(frozen=True, slots=True)
class Target:
    """`start` are the lines of each request that are the same."""

    host: str
    port: int
    is_encrypted: bool
    start: str


@lru_cache(REMEMBERED_MAX)
def target_of(url: str) -> Target:
    """Raises ValueError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("an upstream's address is http:// or https:// and a host")
    host = parts.hostname if parts.hostname.isascii() else _in_ascii(parts.hostname)
    port, usual = parts.port, PORTS[parts.scheme]
    named = f"[{host}]" if ":" in host else host
    if port not in (None, usual):
        named = f"{named}:{port}"
    path = quote(parts.path or "/", safe=URL_SAFE)
    query = f"?{quote(parts.query, safe=URL_SAFE)}" if parts.query else ""
    start = f"POST {path}{query} HTTP/1.1\r\nhost: {named}\r\nuser-agent: {USER_AGENT}\r\n"
    return Target(host, port or usual, parts.scheme == "https", start)


def _in_ascii(host: str) -> str:
    return host.encode("idna").decode()


def write_request(target: Target, outbound: Outbound) -> bytes:
    """A long body is not in it. Raises ValueError for what no header can carry."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in outbound.headers.items()])
    count = len(outbound.headers)
    if lines.count("\r") != count or lines.count("\n") != count or "\0" in lines:
        raise ValueError("a header holds the end of a line")
    body = outbound.body
    size = len(body) if isinstance(body, bytes) else body.size
    head = f"{target.start}{lines}content-length: {size}\r\n\r\n".encode("latin-1")
    return head + body if isinstance(body, bytes) else head

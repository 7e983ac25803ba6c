"""Addresses: where an upstream may be. Checked when it is saved, and again at connect.

    clean_address(text) -> the base URL as it is kept
    allowed_hosts(ips)  -> the same IPs, judged; only these are connected to

Link-local addresses and those of clouds' metadata services are refused always, private ones with
PRIVATE_UPSTREAMS=0. Names are judged by what they resolve to at connect: what a name meant when it
was saved proves nothing.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

LENGTH_MAX = 500
NAME_MAX = 253

# Metadata services that are not on a link-local address: Alibaba, Azure, Oracle, AWS over IPv6.
_METADATA = {
    ip_address(text)
    for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
}
_METADATA_NAMES = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}
_THIS_HOST = ip_network("0.0.0.0/8")
_NAT64 = ip_network("64:ff9b::/96")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LOOKS_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


class BadAddress(ValueError):
    """Not an address that an upstream may have. The text follows a field's name."""


def clean_address(text: object) -> str:
    """The base URL without a slash at the end. Raises BadAddress."""
    if not isinstance(text, str) or not text.strip():
        raise BadAddress("must be a URL such as https://api.openai.com/v1")
    address = text.strip()
    if len(address) > LENGTH_MAX:
        raise BadAddress(f"must be at most {LENGTH_MAX} characters")
    if not address.isascii() or not address.isprintable() or set(address) & set(' \\"<>^`{|}'):
        raise BadAddress("must be a URL of plain ASCII characters")
    if set(address) & set("?#"):
        raise BadAddress("must not have a query or fragment")
    parts = _split(address)
    _refuse_extras(parts)
    _refuse_host(parts.hostname or "")
    return parts._replace(scheme=parts.scheme.lower()).geturl().rstrip("/")


def allowed_hosts(ips: Iterable[str]) -> tuple[str, ...]:
    """The IPs that a name resolved to, if each of them may be called. Raises BadAddress.

    One that may not spoils them all: a name that means both a public and a forbidden address is
    an attack, or a mistake.
    """
    found = tuple(ips)
    if not found:
        raise BadAddress("does not resolve to any address")
    for ip in found:
        _refuse_ip(ip_address(ip.partition("%")[0]))
    return found


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise BadAddress("must be a URL such as https://api.openai.com/v1") from None
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise BadAddress("must start with http:// or https:// and a host")
    return parts


def _refuse_extras(parts: SplitResult) -> None:
    if parts.username is not None or parts.password is not None:
        raise BadAddress("must not hold a user name or password")
    if "/../" in f"{parts.path}/" or "/./" in f"{parts.path}/":
        raise BadAddress("must not have . or .. in its path")


def _refuse_host(host: str) -> None:
    name = host.lower().rstrip(".")
    try:
        _refuse_ip(ip_address(name))
        return
    except BadAddress:
        raise
    except ValueError:
        pass
    # Resolvers read 0177.1, 2130706433 and 0x7f000001 as addresses; nobody means well by them.
    if _LOOKS_NUMERIC.fullmatch(name.rpartition(".")[2]) or ":" in name:
        raise BadAddress("must spell an IP address in the usual way")
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise BadAddress("must have a valid host name")
    if name in _METADATA_NAMES:
        raise BadAddress("must not be the address of a metadata service")
    if not settings.PRIVATE_UPSTREAMS and (name == "localhost" or name.endswith(".localhost")):
        raise BadAddress("must not be a private address (PRIVATE_UPSTREAMS=0)")


def _refuse_ip(ip: IPv4Address | IPv6Address) -> None:
    for form in _forms(ip):
        if form in _METADATA or form.is_link_local:
            raise BadAddress("must not be a link-local address or that of a metadata service")
        if form.is_unspecified or form.is_multicast or _is_unusable(form):
            raise BadAddress("must be an address that something can listen on")
        if not settings.PRIVATE_UPSTREAMS and not form.is_global:
            raise BadAddress("must not be a private address (PRIVATE_UPSTREAMS=0)")


def _is_unusable(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return ip in _THIS_HOST or ip.is_reserved
    return ip.is_site_local


def _forms(ip: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """An address, or the IPv4 addresses that an IPv6 one stands for."""
    if isinstance(ip, IPv4Address):
        return [ip]
    if ip.ipv4_mapped is not None:
        return [ip.ipv4_mapped]
    inner: list[IPv4Address | IPv6Address] = [ip]
    if ip in _NAT64:
        inner.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    if ip.sixtofour is not None:
        inner.append(ip.sixtofour)
    if ip.teredo is not None:
        inner.extend(ip.teredo)
    if int(ip) >> 32 == 0 and int(ip) > 1:  # ::10.0.0.1, deprecated, still read by some
        inner.append(IPv4Address(int(ip)))
    return inner

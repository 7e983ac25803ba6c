"""A connection to an upstream: every form of an answer, kept alive or not, within its bounds."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.upstreams.contract import Broken, Outbound, Silent, Timeouts, Unsent
from proxy.upstreams.target import target_of
from proxy.upstreams.transport import WireTransport

DAY = timedelta(days=1)
PKCS8 = serialization.PrivateFormat.PKCS8
PATIENT = Timeouts(5, 5, 5, 5)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-ID: a1\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"


class Upstream:
    """Says the next of `answers` to each request; ends the connection behind those in `ending`."""

    def __init__(self, *answers, ending=(), slices=None):
        self.answers, self.ending, self.slices = list(answers), ending, slices
        self.connections, self.requests = 0, []
        self.serving = set()

    async def serve(self, reader, writer):
        self.connections += 1
        self.serving.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers[len(self.requests) - 1]
                for part in self.cut(answer):
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if len(self.requests) - 1 in self.ending:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def cut(self, answer):
        size = self.slices or len(answer) or 1
        return [answer[n : n + size] for n in range(0, len(answer), size)]


@asynccontextmanager
async def wire_to(upstream, tls=None):
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    transport = WireTransport()
    port = server.sockets[0].getsockname()[1]
    try:
        yield transport, f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1/chat"
    finally:
        await transport.close()
        server.close()
        if upstream.serving:
            await asyncio.wait(upstream.serving)


def ask(upstream, times=1, *, timeouts=PATIENT, body=b"{}", bytes_max=1 << 26):
    async def send():
        found = []
        async with wire_to(upstream) as (transport, url):
            for _ in range(times):
                async with transport.exchange(Outbound(url, {"a": "b"}, body), timeouts) as reply:
                    found.append((reply.status, await reply.read_whole(bytes_max=bytes_max)))
                await asyncio.sleep(0.01)  # what the upstream does at its end is heard
        return found

    return asyncio.run(send())


@pytest.mark.parametrize("slices", [None, 1, 7])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PLAIN, (200, b"ok")),
        (CHUNKED, (200, b"abcde")),
        (b"HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n", (429, b"")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + PLAIN, (200, b"ok")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED, (200, b"abcde")),
    ],
    ids=["length", "chunked", "empty", "no content", "early hints", "continue"],
)
def test_it_reads_an_answer_however_it_is_cut_and_keeps_the_connection(slices, answer, expected):
    upstream = Upstream(*[answer] * 3, slices=slices)

    assert ask(upstream, 3) == [expected] * 3
    assert upstream.connections == 1
    assert upstream.requests[2].endswith(b"\r\na: b\r\ncontent-length: 2\r\n\r\n{}")


def test_it_reads_to_the_end_of_the_connection_where_nothing_says_the_length():
    upstream = Upstream(*[b"HTTP/1.1 200 OK\r\n\r\nall of it"] * 2, ending={0, 1})

    assert ask(upstream, 2) == [(200, b"all of it")] * 2
    assert upstream.connections == 2


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (PLAIN.replace(b"X-Request-ID: a1", b"Connection: close"), ()),
        (PLAIN, {0}),
        (PLAIN + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong", ()),
        (PLAIN + b"?", ()),
    ],
    ids=["told to close", "closed behind it", "a second answer", "garbage behind it"],
)
def test_it_does_not_use_a_connection_again_that_is_not_clean(answer, ending):
    upstream = Upstream(answer, PLAIN, ending=ending)

    assert ask(upstream, 2) == [(200, b"ok")] * 2
    assert upstream.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        CHUNKED[:-7],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["nothing", "in the head", "in the body", "in a chunk", "no http", "no length", "huge head",
         "upgrade"],
)  # fmt: skip
def test_what_is_cut_short_or_no_answer_is_broken(answer):
    with pytest.raises(Broken) as raised:
        ask(Upstream(answer, ending={0}))

    assert not isinstance(raised.value, Silent)


def test_it_takes_no_more_than_it_may():
    with pytest.raises(Broken):
        ask(Upstream(PLAIN.replace(b"2\r\n", b"9\r\n") + b"0123456"), bytes_max=8)


def test_it_takes_no_more_off_the_wire_than_somebody_reads():
    size = 32 * 1024 * 1024
    upstream = Upstream(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))

    async def read_late():
        async with (
            wire_to(upstream) as (transport, url),
            transport.exchange(Outbound(url, {}, b"{}", True), PATIENT) as reply,
        ):
            await asyncio.sleep(0.05)
            waiting = reply._connection._waiting_bytes
            read = 0
            while (chunk := await reply.read_chunk()) is not None:
                read += len(chunk)
        return waiting, read

    waiting, read = asyncio.run(read_late())

    assert waiting < 1024 * 1024
    assert read == size


def test_whoever_leaves_half_way_takes_the_connection_along():
    upstream = Upstream(PLAIN[:-1], PLAIN)

    async def leave():
        async with wire_to(upstream) as (transport, url):
            async with transport.exchange(Outbound(url, {}, b"{}"), PATIENT) as reply:
                first = await reply.read_chunk()
            async with transport.exchange(Outbound(url, {}, b"{}"), PATIENT) as reply:
                return first, reply.header("x-request-id"), await reply.read_whole(bytes_max=9)

    assert asyncio.run(leave()) == (b"o", "a1", b"ok")
    assert upstream.connections == 2


def test_an_idle_connection_is_closed_after_a_while(monkeypatch):
    monkeypatch.setattr("proxy.upstreams.transport.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("proxy.upstreams.transport.IDLE_SECONDS", 0.01)
    upstream = Upstream(PLAIN, PLAIN)

    async def rest():
        async with wire_to(upstream) as (transport, url):
            for _ in range(2):
                async with transport.exchange(Outbound(url, {}, b"{}"), PATIENT) as reply:
                    await reply.read_whole(bytes_max=9)
                await asyncio.sleep(0.1)
            return transport._idle, transport._looking

    assert asyncio.run(rest()) == ({}, None)
    assert upstream.connections == 2


def test_a_host_that_cannot_be_reached_in_time_is_unsent():
    async def send(url, timeouts):
        transport = WireTransport()
        async with transport.exchange(Outbound(url, {}, b"{}"), timeouts):
            pass

    with pytest.raises(Unsent):  # nobody listens
        asyncio.run(send("http://127.0.0.1:1/", PATIENT))
    with pytest.raises(Unsent):  # a network that is for documentation
        asyncio.run(send("http://192.0.2.1/", Timeouts(0.05, 5, 5, 5)))
    with pytest.raises(Unsent):
        asyncio.run(send("http://no-such-host.invalid/", PATIENT))


def self_signed():
    """A certificate for 127.0.0.1 that nobody vouches for, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - DAY, now + DAY)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return made.public_bytes(pem), key.private_bytes(pem, PKCS8, plain)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_it_asks_only_whose_certificate_somebody_vouches_for(tmp_path, is_trusted):
    certificate, key = self_signed()
    (tmp_path / "both.pem").write_bytes(certificate + key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "both.pem")
    upstream = Upstream(CHUNKED, CHUNKED, slices=5)

    async def send():
        async with wire_to(upstream, tls) as (transport, url):
            if is_trusted:
                transport._tls.load_verify_locations(cadata=certificate.decode())
            for _ in range(2):
                async with transport.exchange(Outbound(url, {}, b"{}"), PATIENT) as reply:
                    assert await reply.read_whole(bytes_max=9) == b"abcde"

    if is_trusted:
        asyncio.run(send())
        assert (upstream.connections, len(upstream.requests)) == (1, 2)
    else:
        with pytest.raises(Unsent):
            asyncio.run(send())
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("http://h/v1", "POST /v1 HTTP/1.1\r\nhost: h\r\n"),
        ("http://h:80/v1?a=b c", "POST /v1?a=b%20c HTTP/1.1\r\nhost: h\r\n"),
        ("https://h:8443", "POST / HTTP/1.1\r\nhost: h:8443\r\n"),
        ("http://[::1]:99/%41ß", "POST /%41%C3%9F HTTP/1.1\r\nhost: [::1]:99\r\n"),
        ("http://bücher.example/", "POST / HTTP/1.1\r\nhost: xn--bcher-kva.example\r\n"),
        ("http://user:pass@h/\r\nx: y", "POST /x:%20y HTTP/1.1\r\nhost: h\r\n"),
    ],
)
def test_a_target_is_written_as_http_wants_it(url, start):
    assert target_of(url).start == start + "user-agent: tollgate\r\n"


def test_an_answer_that_nobody_read_is_not_the_next_ones():
    """It has come whole, but who asked for it looked at its head only."""
    other = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nothers"
    upstream = Upstream(other, PLAIN)

    async def send():
        async with wire_to(upstream) as (transport, url):
            async with transport.exchange(Outbound(url, {}, b"{}"), PATIENT):
                await asyncio.sleep(0.02)
            async with transport.exchange(Outbound(url, {}, b"{}"), PATIENT) as reply:
                return await reply.read_whole(bytes_max=100)

    assert asyncio.run(send()) == b"ok"

"""A client's connection: bytes become exchanges, one at a time, within bounds of every kind."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from uvicorn.server import ServerState

from config.client_line import ClientLine, expire_overdue

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody"


async def echo(scope, receive, send):
    """Tells what was asked, in an answer of known length."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    told = b"%s %s?%s %s" % (
        scope["method"].encode(), scope["path"].encode(), scope["query_string"], body
    )  # fmt: skip
    headers = [(b"Content-Length", b"%d" % len(told))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


def talk(*said, application=echo, before_end=None, ends=False):
    """All that the server answers to the pieces of what is said, until it hangs up or is silent."""

    async def run():
        state = ServerState()
        state.default_headers = [(b"date", b"now")]
        loop = asyncio.get_running_loop()
        config = SimpleNamespace(loaded_app=application)
        server = await loop.create_server(lambda: ClientLine(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        heard, closed = b"", False
        for piece in said:
            writer.write(piece)
            await asyncio.sleep(0.005)
        if before_end is not None:
            before_end(state)
        try:
            while chunk := await asyncio.wait_for(reader.read(65536), 0.1):
                heard += chunk
            closed = True
        except TimeoutError:
            pass
        writer.close()
        server.close()
        await asyncio.sleep(0.005)
        assert not state.connections
        for task in list(state.tasks):
            task.cancel()
        return heard, closed

    return asyncio.run(run())


def answered(body, head=b""):
    length = b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 200 OK\r\ndate: now\r\n" + length + head + b"\r\n" + body


def refused(heard):
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close\r\n" in head
    return int(head.split()[1]), json.loads(body)["error"]["type"]


@pytest.mark.parametrize("pieces", [[POST], [POST[n : n + 1] for n in range(len(POST))]])
def test_a_request_may_come_in_pieces_and_the_connection_stays(pieces):
    assert talk(*pieces, POST) == (answered(b"POST /? body") * 2, False)


def test_pipelined_requests_are_answered_in_order():
    assert talk(GET + POST + GET) == (
        answered(b"GET /? ") + answered(b"POST /? body") + answered(b"GET /? "), False
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (LAST, answered(b"GET /? ", b"connection: close\r\n")),
        (LAST + GET, answered(b"GET /? ", b"connection: close\r\n")),
        (b"GET / HTTP/1.0\r\n\r\n", answered(b"GET /? ", b"connection: close\r\n")),
        (
            b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nPRI *",
            answered(b"GET /? ", b"connection: close\r\n"),
        ),
    ],
    ids=["asked to", "and more behind it", "an old client", "an upgrade"],
)
def test_it_hangs_up_behind_the_last_answer(said, answer):
    assert talk(said) == (answer, True)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (b"/a%20b/%C3%9F?c=%20", "GET /a b/ß?c=%20 "),
        (b"http://other/a?b#c", "GET /a?b "),
        (b"//a/b?c?d", "GET //a/b?c?d "),
    ],
)
def test_a_target_is_taken_apart(target, told):
    heard, _ = talk(LAST.replace(b" / ", b" " + target + b" "))

    assert heard.endswith(told.encode())


def test_an_answer_to_head_has_no_body():
    head = answered(b"HEAD /? ").removesuffix(b"HEAD /? ")

    assert talk(GET.replace(b"GET", b"HEAD") + GET) == (head + answered(b"GET /? "), False)


def test_who_waits_for_it_is_told_to_go_on():
    head, body = POST.replace(b"host", b"expect: 100-continue\r\nhost").split(b"\r\n\r\n")

    heard, _ = talk(head + b"\r\n\r\n", body)

    assert heard == b"HTTP/1.1 100 Continue\r\n\r\n" + answered(b"POST /? body")


def test_an_answer_of_unknown_length_is_chunked():
    async def stream(scope, receive, send):
        await send({"type": "http.response.start", "status": 418, "headers": []})
        for body in (b"ab", b"", b"cde"):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    head = b"HTTP/1.1 418 I'm a Teapot\r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n"

    assert talk(GET, application=stream) == (head + b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", False)


def start(*headers, status=200):
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(text, more_body=False):
    return {"type": "http.response.body", "body": text, "more_body": more_body}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [start((b"a", b"b\r\nset-cookie: c"))],
        [start((b"a\n", b"b"))],
        [start((b"transfer-encoding", b"chunked"))],
        [body(b"a")],
    ],
    ids=["nothing", "a value with a line", "a name with a line", "a coding", "no head"],
)
def test_an_application_that_does_not_answer_is_answered_for(messages):
    async def stumble(scope, receive, send):
        for message in messages:
            await send(message)

    heard, closed = talk(GET, application=stumble)

    assert heard.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"set-cookie" not in heard
    assert closed


@pytest.mark.parametrize(
    "messages",
    [
        [start(), body(b"a", True)],
        [start((b"content-length", b"3")), body(b"ab", True)],
        [start((b"content-length", b"3")), body(b"abcd")],
        [start((b"content-length", b"3")), body(b"ab")],
    ],
    ids=["no end", "cut short", "too long", "too short"],
)
def test_an_answer_that_is_not_whole_ends_with_the_connection(messages):
    async def stumble(scope, receive, send):
        for message in messages:
            await send(message)

    heard, closed = talk(GET + GET, application=stumble)

    assert heard.count(b"HTTP/1.1") <= 1
    assert not heard.endswith(b"0\r\n\r\n")
    assert closed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", (400, "bad_request")),
        (GET.replace(b"GET", b"G@T"), (400, "bad_request")),
        (POST.replace(b"host", b"transfer-encoding: chunked\r\nhost"), (400, "bad_request")),
        (POST.replace(b"host", b"content-length: 5\r\nhost"), (400, "bad_request")),
        (GET.replace(b"/ ", b"/\xff "), (400, "bad_request")),
        (GET.replace(b"host", b"a: b\r\n" * 100 + b"host"), (431, "headers_too_large")),
        (GET.replace(b"host", b"a: " + b"b" * 66_000 + b"\r\nhost"), (431, "headers_too_large")),
        (GET.replace(b"/ ", b"/" + b"b" * 600_000), (431, "headers_too_large")),
    ],
    ids=["tls", "method", "both lengths", "two lengths", "target", "many", "large", "endless"],
)
def test_what_is_no_request_is_refused_and_nothing_behind_it_is_heard(said, expected):
    heard, closed = talk(said + GET)

    assert refused(heard) == expected
    assert closed


def test_a_body_that_breaks_off_its_form_is_refused():
    chunked = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"

    heard, closed = talk(chunked, GET)

    assert refused(heard) == (400, "bad_request")
    assert closed


def test_what_is_wrong_behind_a_request_does_not_take_its_answer():
    assert talk(GET + b"\x16\x03\x01") == (answered(b"GET /? ", b"connection: close\r\n"), True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (GET[:-2], (408, "request_timeout")),
        (POST[:-1], (408, "request_timeout")),
    ],
    ids=["head", "body"],
)
def test_a_request_that_does_not_end_is_refused_in_time(said, expected):
    def wait_a_minute(state):
        loop = asyncio.get_running_loop()
        expire_overdue(state.connections, loop.time() + 29)
        assert len(state.connections) == 1
        expire_overdue(state.connections, loop.time() + 36)

    heard, closed = talk(said[:5], said[5:], before_end=wait_a_minute)

    assert refused(heard) == expected
    assert closed


def test_a_byte_now_and_then_does_not_buy_a_head_more_time():
    seen = []

    def look(state):
        (line,) = state.connections
        seen.append(line.deadline - asyncio.get_running_loop().time())

    talk(*[GET[n : n + 1] for n in range(20)], before_end=look)

    assert seen[0] < 29.95


@pytest.mark.parametrize("said", [[], [GET]], ids=["at first", "between requests"])
def test_an_idle_connection_is_closed_after_a_while(said):
    def wait(state):
        loop = asyncio.get_running_loop()
        expire_overdue(state.connections, loop.time() + 74)
        (line,) = state.connections
        assert not line.transport.is_closing()
        expire_overdue(state.connections, loop.time() + 76)

    heard, closed = talk(*said, before_end=wait)

    assert (heard, closed) == (answered(b"GET /? ") * len(said), True)


def test_a_call_that_runs_is_never_overdue_and_its_client_may_leave():
    left = []

    async def run_on(scope, receive, send):
        await receive()
        left.append((await receive())["type"])
        left.append(receive.__self__.disconnected)

    def wait(state):
        expire_overdue(state.connections, asyncio.get_running_loop().time() + 10_000)

    assert talk(GET, application=run_on, before_end=wait) == (b"", False)
    assert left == ["http.disconnect", True]


def test_a_client_that_does_not_read_is_waited_for():
    sent = []

    async def flood(scope, receive, send):
        await send(start())
        for _ in range(400):
            await send(body(bytes(65536), True))
            sent.append(1)

    async def run():
        state, loop = ServerState(), asyncio.get_running_loop()
        config = SimpleNamespace(loaded_app=flood)
        server = await loop.create_server(lambda: ClientLine(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(GET)
        await asyncio.sleep(0.1)
        stuck_at = len(sent)
        await reader.readuntil(b"\0" * 65536)
        while len(sent) < 400 and await reader.read(1 << 20):
            pass
        writer.close()
        server.close()
        await asyncio.sleep(0.01)
        return stuck_at

    assert asyncio.run(run()) < 350
    assert len(sent) == 400


def test_a_large_body_is_not_taken_before_it_is_asked_for():
    seen = []

    async def hesitate(scope, receive, send):
        await asyncio.sleep(0.02)
        seen.append(receive.__self__.waiting_bytes)
        await echo(scope, receive, send)

    size = 8 * 1024 * 1024
    said = POST[:-4].replace(b"length: 4", b"length: %d" % size)

    heard, _ = talk(said + b"a" * size, application=hesitate)

    assert seen[0] < 1024 * 1024
    assert len(heard) > size


def test_a_head_that_comes_in_pieces_may_be_as_large_as_one_that_comes_whole():
    """Its bytes are counted once, however they arrive."""
    lines = b"".join(b"a%02d: %b\r\n" % (n, b"b" * 1_000) for n in range(50))
    whole = GET.replace(b"\r\n\r\n", b"\r\n" + lines + b"connection: close\r\n\r\n")
    pieces = [whole[at : at + 9_000] for at in range(0, len(whole), 9_000)]

    heard, closed = talk(*pieces)

    assert heard.startswith(b"HTTP/1.1 200 OK")
    assert closed

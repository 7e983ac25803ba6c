"""FaultProxy: each mode does to an echo what it says."""

import contextlib
import socket
import socketserver
import threading

import pytest

from tests.engine_room import wait_until
from tests.faults.fault_proxy import Fault, fault_proxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self.request.recv(1 << 16):
                self.server.heard.append(piece)
                self.request.sendall(piece)


@pytest.fixture(scope="module")
def echo():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.heard = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo):
    echo.heard.clear()
    with fault_proxy(echo.server_address) as proxy:
        yield proxy


def ask(proxy, text: bytes, *, seconds_max: float = 10) -> bytes:
    """What came back; short of the text when the connection was ended."""
    found = b""
    with (
        socket.create_connection(("127.0.0.1", proxy.port), seconds_max) as line,
        contextlib.suppress(ConnectionError),
    ):
        line.sendall(text)
        while len(found) < len(text) and (piece := line.recv(1 << 16)):
            found += piece
    return found


@pytest.mark.parametrize(
    "fault", [Fault(), Fault("slice", 1), Fault("delay", 0.001), Fault("throttle", 10_000)]
)
def test_it_delivers_all(proxy, fault):
    proxy.fault = fault
    assert ask(proxy, b"a" * 50) == b"a" * 50


def test_it_slices(proxy, echo):
    proxy.fault = Fault("slice", 7)
    ask(proxy, b"b" * 20)
    assert b"".join(echo.heard) == b"b" * 20


def test_it_refuses(proxy, echo):
    proxy.fault = Fault("refuse")
    assert (ask(proxy, b"c"), echo.heard, proxy.decisions) == (b"", [], ["refuse"])


def test_it_resets_after_so_many_bytes(proxy):
    proxy.fault = Fault("reset_after", 1)
    assert len(ask(proxy, b"d" * 200_000)) < 200_000


def test_it_drops_the_reply_of_what_was_done(proxy, echo):
    proxy.fault = Fault("drop_reply", request=b"write")
    assert ask(proxy, b"read") == b"read"
    assert ask(proxy, b"write") == b""
    assert (echo.heard, proxy.decisions) == ([b"read", b"write"], ["drop_reply"])


def test_it_delivers_the_original_after_its_retry(proxy, echo):
    proxy.fault = Fault("hold_then_deliver", 0.05, request=b"first")
    assert ask(proxy, b"first") == b""
    proxy.fault = Fault("pass")
    assert ask(proxy, b"again") == b"again"
    wait_until(lambda: b"first" in echo.heard)


def test_a_black_hole_gives_back_what_it_took(proxy):
    proxy.fault = Fault("blackhole")
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as line:
        line.sendall(b"e")
        wait_until(lambda: proxy.decisions == ["blackhole"])
        proxy.fault = Fault()
        assert line.recv(10) == b"e"


def test_it_strikes_flows_that_said_so_alone(proxy):
    proxy.fault = Fault("drop_reply", flow=b"ledger")
    assert (ask(proxy, b"ledger"), ask(proxy, b"other")) == (b"", b"other")


def test_it_strikes_alike_for_a_seed(echo):
    def decide() -> list[bool]:
        with fault_proxy(echo.server_address, seed=7) as proxy:
            proxy.fault = Fault("drop_reply", share=0.5)
            return [ask(proxy, b"f") == b"f" for _ in range(12)]

    found = decide()
    assert found == decide()
    assert set(found) == {True, False}


def test_it_listens_on_a_socket_of_the_file_system(echo, tmp_path):
    path = str(tmp_path / "s")
    with (
        fault_proxy(echo.server_address, listens_at=path),
        socket.socket(socket.AF_UNIX) as line,
    ):
        line.settimeout(10)
        line.connect(path)
        line.sendall(b"g")
        assert line.recv(10) == b"g"


def test_it_cuts_what_is_open(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as line:
        line.sendall(b"h")
        assert line.recv(10) == b"h"
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            line.recv(10)


def test_it_knows_its_modes():
    with pytest.raises(ValueError, match="no such mode"):
        Fault("melt")

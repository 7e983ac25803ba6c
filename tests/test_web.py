"""A web worker: it drains on SIGTERM, and its death loses no caller who waits in the queue."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys

import pytest

from config.environment import ROOT
from config.listening import AddressRefused, hosts_allowed, listen, listen_near, url_of
from tests.engine_room import wait_until


@pytest.fixture
def listener():
    with listen("127.0.0.1", 0) as listener:
        yield listener


@pytest.fixture
def start(listener):
    """Starts a worker on the listener; what is left of them is killed at the end."""
    started = []

    def start_worker():
        command = [sys.executable, "-m", "config.web", "--fd", str(listener.fileno())]
        command += ["--application", "tests.patient_application:application", "--folder", "-"]
        started.append(subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()]))
        return started[-1]

    yield start_worker
    for worker in started:
        worker.kill()
        worker.wait()


def call(listener, path="/"):
    line = http.client.HTTPConnection(*listener.getsockname(), timeout=15)
    line.request("GET", path)
    return line


def answer(line):
    with contextlib.closing(line), line.getresponse() as response:
        return response.status, response.read()


def test_it_works(listener, start):
    worker = start()

    assert answer(call(listener)) == (200, b"%d whole" % worker.pid)


def test_it_ends_at_once_when_nothing_is_open(listener, start):
    worker = start()
    answer(call(listener))

    worker.terminate()

    assert worker.wait(timeout=5) == 0


def test_it_finishes_open_calls_and_refuses_new_ones(listener, start):
    worker = start()
    answer(call(listener))
    open_call = call(listener, "/?2")
    with contextlib.closing(open_call), open_call.getresponse() as response:
        response.read(3)

        worker.terminate()
        wait_until(lambda: answer(call(listener))[0] == 503)

        assert answer(call(listener, "/livez")) == (503, b'{"status": "shutting_down"}')
        assert json.loads(answer(call(listener, "/v1/chat/completions"))[1]) == {
            "error": {
                "message": "The gateway is shutting down.",
                "type": "shutting_down",
                "param": None,
                "code": "503",
            }
        }
        assert response.read().endswith(b"whole")
    assert worker.wait(timeout=5) == 0


def test_callers_in_the_queue_are_served_by_the_next_worker(listener, start):
    first = start()
    answer(call(listener))
    first.send_signal(signal.SIGKILL)
    first.wait()

    waiting = [call(listener) for _ in range(20)]
    second = start()

    assert [answer(line) for line in waiting] == [(200, b"%d whole" % second.pid)] * 20


def test_a_port_that_is_taken_is_refused(listener):
    with pytest.raises(AddressRefused, match="Address already in use"):
        listen("127.0.0.1", listener.getsockname()[1])


def test_a_host_that_is_not_known_is_refused():
    with pytest.raises(AddressRefused, match="not known"):
        listen("no such host", 0)


def test_it_listens_elsewhere_when_its_port_is_taken(listener):
    taken = listener.getsockname()[1]

    with listen_near(taken) as near:
        assert near.getsockname()[0] == "127.0.0.1"
        assert near.getsockname()[1] != taken


@pytest.mark.parametrize(
    ("host", "shown", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", "localhost,127.0.0.1,[::1]"),
        ("localhost", "localhost", "localhost,127.0.0.1,[::1]"),
        ("0.0.0.0", "127.0.0.1", "*"),
        ("10.1.2.3", "10.1.2.3", "localhost,127.0.0.1,[::1],10.1.2.3"),
        ("::", "[::1]", "*"),
        ("fe80::1", "[fe80::1]", "localhost,127.0.0.1,[::1],[fe80::1]"),
    ],
)
def test_the_address_is_shown_as_a_person_would_open_it(listener, host, shown, allowed):
    port = listener.getsockname()[1]

    assert url_of(listener, host) == f"http://{shown}:{port}"
    assert hosts_allowed(host) == allowed


def test_jobs_that_pages_start_go_to_celerys_broker():
    """In a process that knows nothing but the application."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import config.asgi, celery; print(celery.current_app.main, end='')",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert said.stdout.endswith("tollgate")

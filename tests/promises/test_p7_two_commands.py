"""P7, two commands: `up` and `test` on a machine that has only Python."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django.core.management import load_command_class

from config.environment import ROOT
from config.leftovers import command_line, is_alive
from tests.engine_room import wait_until

pytestmark = pytest.mark.xdist_group("up")

READY_SECONDS_MAX = 60
FIRST_START_SECONDS_MAX = 60
LATER_START_SECONDS_MAX = 10
STOP_SECONDS_MAX = 20
OURS = ("DATABASE_URL", "REDIS_URL", "TOLLGATE_DATA", "SECRET_KEY", "MASTER_KEY", "VAULT_KEYS")


def environment(**more):
    """What a newcomer's shell would have."""
    return {name: value for name, value in os.environ.items() if name not in OURS} | more


class Up:
    """One run of `up`, on a free port."""

    def __init__(self, data, *options, python=sys.executable, root=ROOT, **more):
        self.data = data
        self.errors = data.with_name(f"{data.name}.errors")
        command = [python, "manage.py", "up", "--port", "0", "--data", str(data), *options]
        self.started = time.monotonic()
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command, cwd=root, stdout=subprocess.PIPE, stderr=errors, env=environment(**more)
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.wait()
        self.process.stdout.close()

    def ready(self):
        """Its address, as it says it on its standard output."""
        line = self.process.stdout.readline().decode()
        assert line.startswith("Tollgate is ready at http://127.0.0.1:"), self.said()
        self.seconds = time.monotonic() - self.started
        self.url = line.split()[-1]
        return self

    def wait(self):
        return self.process.wait(timeout=STOP_SECONDS_MAX + READY_SECONDS_MAX)

    def said(self):
        return self.errors.read_text()

    def credentials(self):
        return json.loads((self.data / "credentials.json").read_text())

    def children(self):
        return json.loads((self.data / "children.json").read_text())["pids"]

    def child(self, words):
        return next(pid for pid in self.children() if words in command_line(pid).split("\0"))

    def get(self, path, key=None):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()

    def ask(self, text="Hello"):
        body = {"model": "demo-fast", "messages": [{"role": "user", "content": text}]}
        body["metadata"] = {"tags": ["engineering"]}
        key = self.credentials()["api_key"]
        request = urllib.request.Request(
            self.url + "/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["choices"][0]["message"]["content"]


def run(*arguments, **more):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=READY_SECONDS_MAX,
        check=False,
    )


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    with Up(tmp_path_factory.mktemp("up") / "data", "--workers", "2") as up:
        yield up.ready()


def test_it_works(up):
    assert json.loads(up.get("/health/readiness"))["status"] == "healthy"
    assert up.ask()


def test_it_writes_credentials_that_work_and_that_nobody_else_can_read(up):
    credentials = up.credentials()

    assert list(credentials) == ["url", "admin_username", "admin_password", "master_key", "api_key"]
    assert credentials["url"] == up.url
    assert (up.data / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert up.data.stat().st_mode & 0o777 == 0o700
    assert "demo-fast" in up.get("/v1/models", credentials["api_key"])
    assert "demo-fast" in up.get("/model/info", credentials["master_key"])


def test_the_administrator_can_log_in(up):
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies := CookieJar()))
    opener.open(up.url + "/admin/login/", timeout=10).close()
    token = next(cookie.value for cookie in cookies if cookie.name == "csrftoken")
    credentials = up.credentials()
    form = {
        "username": credentials["admin_username"],
        "password": credentials["admin_password"],
        "csrfmiddlewaretoken": token,
    }
    body = urllib.parse.urlencode(form).encode()

    opener.open(up.url + "/admin/login/?next=/livez", data=body, timeout=10).close()

    assert "sessionid" in {cookie.name for cookie in cookies}


def test_it_tells_a_person_what_to_do_next(up):
    said = up.said()

    assert f"Tollgate    {up.url}" in said
    assert f"admin / {up.credentials()['admin_password']}" in said
    assert f"curl {up.url}/v1/chat/completions" in said
    assert 'client = OpenAI(base_url="' in said


def test_the_curl_that_it_shows_works_as_it_stands(up):
    lines = up.said().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("curl "))

    answered = subprocess.run(
        "\n".join(lines[start : start + 4]), shell=True, capture_output=True, check=True
    )

    assert json.loads(answered.stdout).get("object") == "chat.completion", answered.stdout


def test_other_commands_find_its_engines(up):
    code = "from django.contrib.auth.models import User; print(User.objects.get().username)"

    found = run("shell", "-v", "0", "-c", code, TOLLGATE_DATA=str(up.data))

    assert found.stdout == "admin\n"


def test_other_commands_say_so_when_there_is_no_database(tmp_path):
    secret = "x" * 50

    failed = run("migrate", TOLLGATE_DATA=str(tmp_path), SECRET_KEY=secret)

    assert failed.returncode == 1
    assert "No database: start `python3 manage.py up`, or set DATABASE_URL." in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_second_one_on_the_same_folder_is_refused(up):
    second = run("up", "--port", "0", "--data", str(up.data))

    assert second.returncode == 2
    assert f"{up.data} is in use by another" in second.stderr
    assert second.stdout == ""


def test_a_port_that_is_in_use_is_refused(up, tmp_path):
    port = up.url.rpartition(":")[2]

    second = run("up", "--port", port, "--data", str(tmp_path / "data"))

    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("PostgreSQL", "-D"),
        ("Valkey", "--unixsocket"),
        ("web worker 1", "--fd"),
        ("demo upstream", "proxy.upstreams.demo:application"),
        ("Celery worker", "worker"),
        ("Celery beat", "beat"),
    ],
)
def test_what_dies_is_started_again(up, part, words):
    first = up.child(words)

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: f"{part} died (SIGKILL)" in up.said() or "web worker" in part)
    wait_until(lambda: first not in up.children() and len(up.children()) == 7)
    wait_until(lambda: all(answers(up) for _ in range(8)))  # by either worker


def answers(up):
    try:
        return up.ask() != ""
    except OSError:
        return False


def test_its_life_on_one_folder(tmp_path):
    """Started, stopped, started again, killed outright, started again."""
    data = tmp_path / "data"
    with Up(data) as first:
        first.ready()
        kept, children = first.credentials(), first.children()
        first.process.terminate()
        assert first.wait() == 0
        assert first.process.stdout.read() == b""
    assert not any(is_alive(pid) for pid in children)
    assert not (data / "engines.env").exists()

    with Up(data) as second:
        second.ready()
        assert second.credentials() == {**kept, "url": second.url}
        assert second.ask()
        children = second.children()
        second.process.kill()
        second.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in children))

    with Up(data) as third:
        third.ready()
        assert third.credentials() == {**kept, "url": third.url}
        assert third.ask()


def test_a_second_signal_ends_it_at_once(tmp_path):
    with Up(tmp_path / "data", "--no-demo") as up:
        up.ready()
        children = up.children()
        with socket.create_connection(("127.0.0.1", int(up.url.rpartition(":")[2]))) as line:
            key = up.credentials()["master_key"]
            head = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Length: 9"]
            head += [f"Authorization: Bearer {key}", "Content-Type: application/json"]
            line.sendall("\r\n".join([*head, "", ""]).encode())  # and its body does not come
            time.sleep(0.3)
            up.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            up.process.send_signal(signal.SIGINT)
            asked = time.monotonic()
            assert up.wait() == 1
    assert time.monotonic() - asked < 5
    assert not any(is_alive(pid) for pid in children)


def test_without_a_demo_there_is_no_key(tmp_path):
    given = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_PASSWORD": "a $trong 'one'"}
    given["MASTER_KEY"] = "sk-from-the-environment"

    with Up(tmp_path / "data", "--no-demo", **given) as up:
        up.ready()
        assert up.credentials() == {
            "url": up.url,
            "admin_username": "ada",
            "admin_password": "a $trong 'one'",
            "master_key": "sk-from-the-environment",
            "api_key": None,
        }
        assert json.loads(up.get("/model/info", "sk-from-the-environment"))["data"] == []


def test_wrong_arguments_are_refused(tmp_path):
    refused = run("up", "--data", str(tmp_path / "data"), "--host", "no such")

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr != ""


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--port", "x"], ["--workers", "0"], ["--bogus"]]
)
def test_arguments_that_cannot_be_read_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        load_command_class("config", "up").run_from_argv(["manage.py", "up", *arguments])

    said = capsys.readouterr()
    assert refused.value.code == 2
    assert said.out == ""
    assert arguments[0] in said.err


def test_it_refuses_to_run_as_production(tmp_path):
    refused = run("up", "--data", str(tmp_path / "data"), TOLLGATE_ENV="production")

    assert refused.returncode == 2
    assert "deploy/" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_it_never_takes_its_own_engine_for_one_that_cannot_be_reached(tmp_path):
    closed = "postgresql://tollgate@127.0.0.1:9/tollgate"

    failed = run("up", "--port", "0", "--data", str(tmp_path / "data"), DATABASE_URL=closed)

    assert failed.returncode == 1
    assert "preparation failed" in failed.stderr
    assert not (tmp_path / "data" / "pg").exists()


def test_a_wrong_setting_stops_the_start_without_telling_its_value(tmp_path):
    failed = run("up", "--data", str(tmp_path / "data"), MASTER_KEY="sk-hush")

    assert failed.returncode == 1
    assert "MASTER_KEY" in failed.stderr
    assert "sk-hush" not in failed.stderr


def test_the_tests_end_with_the_status_of_pytest():
    one_file = ("test", "-q", "-n", "0", "tests/spend/test_money.py")

    assert run(*one_file).returncode == 0
    assert run(*one_file, "-k", "no_such_test").returncode == 5


@pytest.fixture
def clone():
    """A clean one, in a folder that is closed to every other user."""
    place = Path(tempfile.mkdtemp())
    subprocess.run(["git", "clone", "--quiet", ROOT, place / "clone"], check=True)
    yield place / "clone"
    shutil.rmtree(place)


@pytest.mark.slow  # and on a quiet machine, as it looks at the clock
@pytest.mark.timeout(600)
def test_a_clean_clone_needs_python_alone(clone):
    python = shutil.which("python3", path=os.defpath) or sys.executable

    with Up(clone / ".data", python=python, root=clone) as up:
        up.ready()
        assert up.seconds < FIRST_START_SECONDS_MAX
        assert up.ask()
    with Up(clone / ".data", python=python, root=clone) as up:
        up.ready()
        assert up.seconds < LATER_START_SECONDS_MAX
        assert up.ask()
    command = [python, "manage.py", "test", "-q", "tests/spend/test_money.py"]
    tested = subprocess.run(command, cwd=clone, env=environment(), check=False)

    assert tested.returncode == 0

"""The supervisor: what dies is started again, what is stopped stops in order."""

import os
import signal
import sys
import time

import pytest

from config.programs import PartFailed, Program
from config.signals import Signals
from config.supervisor import ENGINES, SERVERS, UPSTREAMS, EndAsked, Part, StopAsked, Supervisor

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.fixture
def supervisor():
    with Signals() as signals:
        supervisor = Supervisor(signals, lambda pids: None)
        yield supervisor
        supervisor.end()


def python(code, *, name="a part", **options):
    command = [sys.executable, "-c", code]
    return Program(name=name, command=command, environment=os.environ, **options)


def test_it_starts_a_part_again_when_it_dies(supervisor, capfd):
    part = Part(python(SLEEP), SERVERS)
    supervisor.add(part)
    first = part.child

    first.kill()
    supervisor.wait_until(lambda: part.child is not first, seconds_max=5, what="it")

    assert part.is_running()
    assert "a part died (SIGKILL); starting it again" in capfd.readouterr().err


def test_it_gives_up_on_a_part_that_dies_again_and_again(supervisor, capfd):
    supervisor.add(Part(python("raise SystemExit(3)"), SERVERS))

    with pytest.raises(PartFailed, match="a part does not stay up: 5 deaths"):
        supervisor.watch()

    assert capfd.readouterr().err.count("a part died (exit 3)") == 5


def test_old_deaths_are_forgotten(supervisor):
    part = Part(python(SLEEP), SERVERS)
    part.deaths.extend([-1000.0, -900.0, -800.0, -700.0])

    part.note_death(now=0.0)

    assert part.starts_at == 0.0


def test_it_refuses_a_program_that_is_not_there(supervisor):
    missing = Program(name="a part", command=["/no/such/program"], environment={})

    with pytest.raises(PartFailed, match="a part cannot be started"):
        supervisor.add(Part(missing, SERVERS))


def test_it_says_what_is_not_ready_in_time(supervisor):
    with pytest.raises(PartFailed, match="the web is not ready after 0 s"):
        supervisor.wait_until(lambda: False, seconds_max=0.1, what="the web")


def test_it_runs_a_program_to_its_end(supervisor):
    assert supervisor.run(python("print('told')", keeps_output=True)) == "told\n"


def test_it_says_that_a_program_has_failed(supervisor):
    with pytest.raises(PartFailed, match="a part failed \\(exit 4\\)"):
        supervisor.run(python("raise SystemExit(4)"))


def test_it_stops_what_uses_others_before_them(supervisor, tmp_path):
    note = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit("
    note += "open({path!r}, 'a').write({name!r}) and 0)); print(flush=True); time.sleep(60)"
    path = str(tmp_path / "order")
    for name, tier in (("engine ", ENGINES), ("server ", SERVERS), ("upstream ", UPSTREAMS)):
        supervisor.add(Part(python(note.format(path=path, name=name), keeps_output=True), tier))
    for part in supervisor.parts:
        with part.child.stdout as output:
            output.readline()  # it is ready for the signal

    supervisor.stop()

    assert (tmp_path / "order").read_text() == "server upstream engine "
    assert [part.child.returncode for part in supervisor.parts] == [0, 0, 0]


def test_it_ends_what_does_not_stop(supervisor, capfd):
    part = Part(python(STUBBORN, stop_seconds_max=0.3), SERVERS)
    supervisor.add(part)
    time.sleep(0.3)

    supervisor.stop()

    assert part.child.returncode == -signal.SIGKILL
    assert "a part does not stop; ending it" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_asks_to_stop(supervisor, number):
    os.kill(os.getpid(), number)

    with pytest.raises(StopAsked):
        supervisor.watch()


def test_a_second_signal_ends_at_once(supervisor):
    part = Part(python(STUBBORN), SERVERS)
    supervisor.add(part)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(StopAsked):
        supervisor.watch()
    os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(EndAsked):
        supervisor.stop()
    supervisor.end()

    assert part.child.returncode == -signal.SIGKILL

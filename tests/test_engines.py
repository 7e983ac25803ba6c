"""The embedded engines: they start anywhere, as anybody, after anything, and end with us."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import environ
import psycopg
import pytest
import redis
from kombu import Connection

from config import postgres, valkey
from config.engines import Engines, EngineUnavailable
from config.environment import ROOT
from config.folder import Folder
from config.leftovers import is_alive
from tests.engine_room import engine_room, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does this")


def test_it_works(tmp_path):
    with engine_room(tmp_path / "data") as room:
        assert room.ask("SELECT current_user, current_database()") == ("tollgate", "tollgate")
        assert redis.Redis.from_url(room.engines.redis_url).ping() is True


def test_it_is_durable_and_gives_no_superuser(tmp_path):
    with engine_room(tmp_path / "data") as room:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert room.ask("SELECT current_setting(%s)", setting) == ("on",)

        assert room.ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == (False,)


def test_django_and_celery_read_its_addresses(tmp_path):
    with engine_room(tmp_path / "Data.With-Capitals") as room:
        settings = environ.Env.db_url_config(room.engines.database_url)
        broker = room.engines.redis_url.replace("unix://", "redis+socket://", 1)

        with psycopg.connect(user=settings["USER"], dbname=settings["NAME"], **settings["OPTIONS"]):
            pass
        with Connection(broker.replace("?db=", "?virtual_host=")) as connection:
            connection.ensure_connection(max_retries=1)


def test_it_listens_on_no_network(tmp_path):
    with engine_room(tmp_path / "data") as room:
        assert room.ask("SELECT current_setting('listen_addresses')") == ("",)
        assert redis.Redis.from_url(room.engines.redis_url).config_get("port") == {"port": "0"}


def test_it_keeps_rows_over_a_restart(tmp_path):
    with engine_room(tmp_path / "data") as room:
        room.ask("CREATE TABLE kept AS SELECT 7 AS number")

    with engine_room(tmp_path / "data") as room:
        assert room.ask("SELECT number FROM kept") == (7,)


def test_it_starts_in_a_deep_folder_and_leaves_no_socket_behind(tmp_path):
    with engine_room(tmp_path / ("deep" * 30) / "data") as room:
        sockets = room.engines.sockets
        assert len(str(sockets / ".s.PGSQL.5432.lock")) < 100
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert room.ask("SELECT 1") == (1,)

    assert not sockets.exists()


def test_it_starts_in_a_folder_with_a_name_that_urls_must_quote(tmp_path):
    with engine_room(tmp_path / "my data #1 @home?") as room:
        assert room.ask("SELECT 1") == (1,)
        assert redis.Redis.from_url(room.engines.redis_url).ping() is True


@as_root
@on_linux
def test_it_drops_root_and_passes_folders_that_are_closed_to_others(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o700)

    with engine_room(tmp_path / "closed" / "data") as room:
        status = Path(f"/proc/{room.part('PostgreSQL').child.pid}/status").read_text()

    assert room.engines.postgres.account.uid != 0
    assert f"Uid:\t{room.engines.postgres.account.uid}\t" in status
    assert "CapEff:\t0000000000000004" in status  # CAP_DAC_READ_SEARCH and nothing else


def test_it_recovers_when_the_server_is_killed(tmp_path):
    with engine_room(tmp_path / "data") as room:
        room.ask("CREATE TABLE kept AS SELECT 7 AS number")
        room.part("PostgreSQL").child.kill()

    with engine_room(tmp_path / "data") as room:
        assert room.ask("SELECT number FROM kept") == (7,)


@pytest.mark.parametrize("name", ["PostgreSQL", "Valkey"])
def test_it_is_started_again_when_it_dies(tmp_path, name, capfd):
    with engine_room(tmp_path / "data") as room:
        part = room.part(name)
        engine = room.engines.postgres if name == "PostgreSQL" else room.engines.valkey
        first = part.child
        first.kill()
        first.wait()
        room.supervisor.wait_until(
            lambda: part.is_running() and engine.is_ready(part.child), seconds_max=20, what=name
        )

        assert part.child.pid != first.pid
        assert room.ask("SELECT 1") == (1,)
    assert f"{name} died (SIGKILL); starting it again" in capfd.readouterr().err


@pytest.fixture
def near_path():
    """A folder whose sockets fit beside it, so that they stay when its engines have gone."""
    with tempfile.TemporaryDirectory(prefix="tg-") as name:
        yield Path(name)


def test_it_takes_over_from_a_server_that_an_earlier_start_left_behind(near_path):
    with engine_room(near_path / "data") as room:
        server = room.engines.postgres.server()
    orphan = subprocess.Popen(
        server.command, env=dict(server.environment), preexec_fn=server.become
    )
    wait_until(lambda: room.engines.postgres.is_ready(orphan))

    with engine_room(near_path / "data") as room:
        assert room.ask("SELECT 1") == (1,)
        assert orphan.wait(timeout=5) == 0


def test_it_starts_when_the_old_id_has_passed_to_somebody_else(tmp_path):
    with engine_room(tmp_path / "data"):
        pass
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (tmp_path / "data" / "pg" / "postmaster.pid").write_text(f"{stranger.pid}\n{tmp_path}\n")

    with engine_room(tmp_path / "data") as room:
        assert room.ask("SELECT 1") == (1,)
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_it_makes_the_cluster_anew_when_that_was_cut_short(tmp_path):
    (tmp_path / "data" / "pg.new" / "base").mkdir(parents=True)
    (tmp_path / "data" / "up.lock").touch()

    with engine_room(tmp_path / "data") as room:
        assert room.ask("SELECT 1") == (1,)


@on_linux
def test_it_ends_when_its_parent_is_killed_outright(tmp_path):
    script = (
        "import time\n"
        "from pathlib import Path\n"
        "from tests.engine_room import engine_room\n"
        f"with engine_room(Path({str(tmp_path / 'data')!r})) as room:\n"
        "    print(*(part.child.pid for part in room.supervisor.parts), flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert [is_alive(pid) for pid in pids] == [True, True]

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_it_uses_the_servers_that_the_environment_names(tmp_path):
    given = {"DATABASE_URL": "postgresql://db.example/tollgate", "REDIS_URL": "redis://cache"}

    engines = Engines(Folder(tmp_path), given)

    assert (engines.postgres, engines.valkey) == (None, None)
    assert engines.database_url == "postgresql://db.example/tollgate"
    assert engines.redis_url == "redis://cache"


def test_it_refuses_a_platform_without_engines(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "WHEEL", "no_such_wheel")
    monkeypatch.setattr(valkey, "WHEEL", "no_such_wheel")

    with pytest.raises(EngineUnavailable, match="set DATABASE_URL"):
        Engines(Folder(tmp_path), {})
    with pytest.raises(EngineUnavailable, match="set REDIS_URL"):
        Engines(Folder(tmp_path), {"DATABASE_URL": "postgresql://db.example/tollgate"})


def test_it_refuses_a_cluster_of_a_version_that_is_gone(tmp_path):
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("12\n")

    with pytest.raises(EngineUnavailable, match="PostgreSQL 12"):
        Engines(Folder(tmp_path), {})


def test_it_keeps_the_version_that_made_the_cluster(tmp_path):
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("16\n")

    assert Engines(Folder(tmp_path), {}).postgres.binaries.major == 16

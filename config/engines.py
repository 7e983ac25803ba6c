"""The engines: PostgreSQL and Valkey, embedded when no address is given."""

import os
import shutil
from collections.abc import Mapping

import psycopg

from config.folder import Folder
from config.postgres import TEST_SETTINGS, EmbeddedPostgres, EngineUnavailable, account_for
from config.programs import PartFailed, last_words
from config.progress import say
from config.supervisor import ENGINES, Part, Supervisor
from config.valkey import EmbeddedValkey

__all__ = ["EngineUnavailable", "Engines"]

START_SECONDS_MAX = 60.0  # a recovery after a crash is part of a start


class Engines:
    """Those that the environment gives, else embedded ones on the data folder.

    Raises EngineUnavailable when there is none for this platform.
    """

    def __init__(
        self, folder: Folder, given: Mapping[str, str], *, for_tests: bool = False
    ) -> None:
        self.folder = folder
        self.postgres: EmbeddedPostgres | None = None
        self.valkey: EmbeddedValkey | None = None
        self.database_url = given.get("DATABASE_URL", "")
        self.redis_url = given.get("REDIS_URL", "")
        account = None if self.database_url else account_for(folder)
        self.sockets = folder.sockets(account.uid if account else os.geteuid())
        if not self.database_url:
            settings = TEST_SETTINGS if for_tests else {}
            self.postgres = EmbeddedPostgres(folder, self.sockets, account, settings)
            self.database_url = self.postgres.url
        if not self.redis_url:
            self.valkey = EmbeddedValkey(folder, self.sockets)
            self.redis_url = self.valkey.url

    def start(self, supervisor: Supervisor) -> None:
        """Return when they answer. Raises PartFailed."""
        if self.valkey is not None:
            self.start_one(supervisor, self.valkey)
        if self.postgres is not None:
            self.start_one(supervisor, self.postgres)
            try:
                self.postgres.provide_database()
            except psycopg.Error as error:
                raise PartFailed(f"PostgreSQL did not make its database: {error}") from error

    def clear(self) -> None:
        """Once they have stopped: leave nothing outside the data folder."""
        if not self.sockets.is_relative_to(self.folder.path):
            shutil.rmtree(self.sockets, ignore_errors=True)

    def start_one(self, supervisor: Supervisor, engine: EmbeddedPostgres | EmbeddedValkey) -> None:
        part = Part(engine.server(), ENGINES, prepare=engine.prepare)
        try:
            supervisor.add(part)
            supervisor.wait_until(
                lambda: part.is_running() and engine.is_ready(part.child),
                seconds_max=START_SECONDS_MAX,
                what=part.name,
            )
        except PartFailed:
            say(f"the end of {part.program.log}:\n{last_words(part.program.log)}")
            raise
        say(f"{part.name} is up")

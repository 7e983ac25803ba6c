"""A database that really commits, for tests of what happens at the same time."""

from tests.committed import books, committed_database

__all__ = ["books", "committed_database"]

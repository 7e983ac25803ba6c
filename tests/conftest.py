"""What every test stands on: the engines that `manage.py test` starts."""

import os

import hypothesis
import pytest
from rest_framework.test import APIClient

from tests.committed import books, committed_database

__all__ = ["books", "committed_database"]


# How long an example takes says what else the machine does, not whether it is right.
hypothesis.settings.register_profile("tollgate", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tollgate")


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("DATABASE_URL"):
        raise pytest.UsageError(
            "The tests need engines of their own: run `python3 manage.py test [pytest arguments]`."
        )
    # Static files are found where they are; nobody collects them for a test.
    config.addinivalue_line("filterwarnings", "ignore:No directory at:UserWarning")


@pytest.fixture
def management(settings) -> APIClient:
    """A client of the management paths that holds the master key."""
    return client_of(settings.MASTER_KEY)


def client_of(secret: str) -> APIClient:
    """A client that presents that key."""
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client

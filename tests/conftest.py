"""What every test stands on: the engines that `manage.py test` starts."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("DATABASE_URL"):
        raise pytest.UsageError(
            "The tests need engines of their own: run `python3 manage.py test [pytest arguments]`."
        )

#!/usr/bin/env python3
"""Enters .venv, which is made on the first run, and hands over to Django's commands."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older ones must be told, so this file parses on them
    sys.exit(
        f"Tollgate needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.\n"
        "Run it with a newer one, for example: python3.12 manage.py up"
    )

from config import bootstrap, environment  # the standard library alone, as Django may be missing

NO_DATABASE = "No database: start `python3 manage.py up`, or set DATABASE_URL."


def main():
    bootstrap.enter_venv(sys.argv)
    environment.settle(sys.argv)

    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        sys.exit(f"manage.py: {wrong}")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) is not None:
            raise  # a server has answered, so it is no question of where it is
        sys.exit(f"{error}\nmanage.py: {NO_DATABASE}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells have it; an installation that was cut short is mended next time

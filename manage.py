#!/usr/bin/env python3
"""Enters .venv, which is made on the first run, and hands over to Django's commands."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older ones must be told, so this file parses on them
    sys.exit(
        f"Tollgate needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.\n"
        "Run it with a newer one, for example: python3.12 manage.py up"
    )

from config import bootstrap, environment  # the standard library alone, as Django may be missing


def main():
    bootstrap.enter_venv(sys.argv)
    environment.settle(sys.argv)

    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        sys.exit(f"manage.py: {wrong}")


if __name__ == "__main__":
    main()

"""Preparation: between the engines and the web workers, one child does all that needs Django.

Tables, the first administrator, the ledger after earlier calls, the demo. Prints one JSON object.
"""

import argparse
import io
import json
import os
import sys

import django
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from config.progress import say


def prepare(options: argparse.Namespace) -> dict[str, object]:
    """Each step may be repeated: whatever is there already stays as it is."""
    if not options.alone:  # a server of somebody else's; ours is started as the check wants it
        call_command("check", tags=["database"], databases=["default"], stdout=io.StringIO())
    say("bringing the tables up to date")
    call_command("migrate", interactive=False, verbosity=0)
    password = provide_administrator(
        os.environ["DJANGO_SUPERUSER_USERNAME"],
        os.environ["DJANGO_SUPERUSER_PASSWORD"],
        os.environ.get("DJANGO_SUPERUSER_EMAIL", ""),
    )
    say("accounting for earlier calls")
    call_command("prepare_ledger", alone=options.alone, stdout=io.StringIO())
    load_prices()
    demo = seed_demo(options.upstream) if options.upstream else {}
    return {"admin_password": password, "api_key": demo.get("api_key")}


def provide_administrator(username: str, password: str, email: str) -> str | None:
    """Make him if nobody has that name. The password, or None if an earlier one is in force."""
    users = get_user_model()
    found = users.objects.filter(**{users.USERNAME_FIELD: username}).first()
    if found is None:
        say(f"making the administrator {username!r}")
        users.objects.create_superuser(username, email, password)
        return password
    return password if found.check_password(password) else None


def load_prices() -> None:
    """The first time; from then on beat keeps the list up to date."""
    from spend.models import Price, PriceSource  # the apps are loaded by now

    if not Price.objects.filter(source=PriceSource.CATALOGUE).exists():
        say("loading the price list")
        call_command("load_prices", stdout=io.StringIO())


def seed_demo(upstream: str) -> dict[str, object]:
    say("seeding the demo")
    told = io.StringIO()
    call_command("seed_demo", upstream=upstream, stdout=told)
    return json.loads(told.getvalue() or "{}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.preparation", description=__doc__)
    parser.add_argument("--alone", action="store_true", help="no worker runs on this database")
    parser.add_argument("--upstream", help="the demo upstream's address; none: no demo")
    options = parser.parse_args()
    django.setup()
    try:
        sys.stdout.write(json.dumps(prepare(options)))
    except CommandError as error:
        sys.exit(str(error))  # its text says all; a traceback would hide it


if __name__ == "__main__":
    main()

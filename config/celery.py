"""Celery: the beat schedule. Each task is a two-line wrapper of a verb that lives with its noun."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["spend"])
app.conf.beat_schedule = {
    "roll over idle budgets": {"task": "spend.tasks.roll_over_budgets", "schedule": 5.0},
    "sweep abandoned reservations": {"task": "spend.tasks.sweep_reservations", "schedule": 15.0},
    "make partitions ahead": {"task": "spend.tasks.make_partitions", "schedule": 3600.0},
    "raise alerts": {"task": "spend.tasks.raise_alerts", "schedule": 15.0},
    "deliver alerts": {"task": "spend.tasks.deliver_alerts", "schedule": 5.0},
    "raise forecasts": {"task": "spend.tasks.raise_forecasts", "schedule": 300.0},
    "reconcile the books": {"task": "spend.tasks.reconcile_books", "schedule": 21600.0},
    "drop old months of the log": {"task": "spend.tasks.retain_log", "schedule": 86400.0},
    "load prices": {"task": "spend.tasks.load_prices", "schedule": 86400.0},
}
for entry in app.conf.beat_schedule.values():
    # A run that waited longer than its period is worth nothing: the next one does its work.
    entry["options"] = {"expires": entry["schedule"]}

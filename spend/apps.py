"""The bank: money, windows, prices, the ledger, the log."""

from django.apps import AppConfig


class SpendConfig(AppConfig):
    name = "spend"
    verbose_name = "Spend"

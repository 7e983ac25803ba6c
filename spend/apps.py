"""The bank: money, windows, prices, the ledger, the log."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class SpendConfig(AppConfig):
    name = "spend"
    verbose_name = "Spend"

    def ready(self) -> None:
        from spend.durability import check_durability

        register(check_durability, Tags.database)

"""reseal_secrets: seal providers' secrets under the newest vault key, so that older ones can go."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxy.vault import VaultError, reseal_secrets


class Command(BaseCommand):
    help = "Seal every provider's secret anew under the first of VAULT_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = reseal_secrets()
        except VaultError as error:
            raise CommandError(f"Nothing was changed: {error}.") from None
        self.stdout.write(f"{count} secrets sealed anew")

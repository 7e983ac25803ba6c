"""The bank in the admin: what the ledger and the jobs write is for reading; prices are added.

Budgets belong to tags and keys, or are pots of theirs: their pages are in the apps above.
"""

from spend.admin import events, log, prices, reservations, windows

__all__ = ["events", "log", "prices", "reservations", "windows"]

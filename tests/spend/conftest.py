"""What the tests of the bank stand on."""

from tests.bank import bank, bank_database, books

__all__ = ["bank", "bank_database", "books"]

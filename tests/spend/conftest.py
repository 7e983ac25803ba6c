"""What the tests of the bank stand on."""

from tests.bank import bank, bank_books, bank_database

__all__ = ["bank", "bank_books", "bank_database"]

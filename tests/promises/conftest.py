"""The gateway in process, as the tests of its steps have it; a bank; and processes that race."""

from tests.bank import bank, bank_books, bank_database
from tests.proxy.conftest import (
    gateway,
    key,
    loop_thread,
    model,
    open_gateway,
    shared_gateway,
    upstream,
)
from tests.tellers import tellers

__all__ = [
    "bank", "bank_books", "bank_database", "gateway", "key", "loop_thread", "model", "open_gateway",
    "shared_gateway", "tellers", "upstream",
]  # fmt: skip

"""The gateway in process, as the tests of its steps have it."""

from tests.proxy.conftest import (
    gateway,
    key,
    loop_thread,
    model,
    open_gateway,
    shared_gateway,
    upstream,
)

__all__ = ["gateway", "key", "loop_thread", "model", "open_gateway", "shared_gateway", "upstream"]

"""The contract between a call and whoever serves it: what goes out, comes back, how it fails."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from proxy.endpoints import Endpoint
    from proxy.upload import Upload


class LongBody(Protocol):
    """A body that is not held in memory, and may be sent again."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def chunks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Outbound:
    """One request to an upstream: headers are built, never copied."""

    url: str
    headers: Mapping[str, str]
    body: bytes | LongBody
    stream: bool = False

    def __repr__(self) -> str:  # the headers hold the provider's secret, the body the prompt
        return f"Outbound({self.url!r})"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. A gap is the longest silence within an answer."""

    connect_seconds: float
    first_byte_seconds: float
    between_chunks_seconds: float
    total_seconds: float


class Unsent(Exception):
    """No connection was made, so the upstream knows nothing of the call."""


class Broken(Exception):
    """The call was sent and the answer did not come whole."""


class Silent(Broken):
    """The call was sent and nothing came back in time."""


class Reply(Protocol):
    """An upstream's answer, once its head has arrived."""

    status: int

    def header(self, name: str) -> str | None: ...

    async def read_chunk(self) -> bytes | None:
        """The next bytes, None at the end. Raises Broken or Silent."""
        ...

    async def read_whole(self, *, bytes_max: int) -> bytes:
        """All that is left, as `read_chunk` would give it. Raises Broken for more than that."""
        return await collect(self, bytes_max=bytes_max)


async def collect(reply: Reply, *, bytes_max: int) -> bytes:
    chunks = []
    size = 0
    while (chunk := await reply.read_chunk()) is not None:
        size += len(chunk)
        if size > bytes_max:
            raise Broken("the answer is too large")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Exchange(Protocol):
    """Entering sends the request and waits for the head. Raises Unsent, Silent or Broken."""

    async def __aenter__(self) -> Reply: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Transport(Protocol):
    """The seam: a function can play the provider (tests/fakes.py)."""

    def exchange(self, outbound: Outbound, timeouts: Timeouts) -> Exchange: ...

    async def close(self) -> None: ...


class Dialect(Protocol):
    """The code that speaks a provider's form."""

    @property
    def endpoints(self) -> Sequence[str]: ...

    @property
    def on_request(self) -> Sequence[str]:
        """Those that a deployment must declare."""
        ...

    def build(self, request: "Request") -> Outbound: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a dialect needs to build an outbound request."""

    endpoint: "Endpoint"
    address: str
    secret: str | None
    api_version: str
    upstream_model: str
    body: Mapping[str, Any]
    stream: bool
    output_tokens_cap: int | None  # sent when a strict budget must be able to rely on it
    forwarded: Mapping[str, str]  # the few client headers that may pass
    call_id: str
    terms: Mapping[str, Any]
    upload: "Upload | None" = None

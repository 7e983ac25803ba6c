"""SDKs: clients that nobody here wrote, each with a tagged call that is then in the log."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from django.conf import settings as django_settings

from tests.committed import connected_to
from tests.factories import make_key, make_model, make_tag
from tests.sdk.provider import speaking
from tests.wire.conftest import hear, provider, server, wire_database_url, wire_folder
from tests.wire.live import Server

__all__ = ["provider", "server", "wire_database_url", "wire_folder"]

CHAT_COST = 210_000  # nano-dollars; 12 tokens in at 2.5 dollars a million, 18 out at 10
MESSAGE_COST = 140 * 2_500 + 18 * 10_000
EMBEDDING_COST = 12 * 2_500


@dataclass(frozen=True)
class Site:
    """Where clients call, with which key, and what they tag their calls with."""

    url: str
    key: str
    tag: str
    chat: str
    claude: str
    embedding: str

    def logged(self) -> list[tuple[str, int]]:
        """Endpoint and cost, in nano-dollars, of the tag's calls as the API tells them."""
        answer = requests.get(
            f"{self.url}/spend/logs",
            params={"tag": self.tag, "sort_order": "asc"},
            headers={"authorization": f"Bearer {django_settings.MASTER_KEY}"},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        rows = answer.json()
        assert {tuple(row["request_tags"]) for row in rows} == {(self.tag,)}
        assert {row["status"] for row in rows} == {"success"}
        return [(row["endpoint"], round(row["spend"] * 10**9)) for row in rows]


@pytest.fixture(scope="session")
def speaker() -> Iterator[str]:
    with speaking() as address:
        yield address


@pytest.fixture
def site(server: Server, books, speaker: str) -> Iterator[Site]:
    site = make_site(server, speaker)
    yield site
    books.check()


@pytest.fixture(scope="session")
def shared_site(server: Server, committed_database, django_db_blocker, speaker: str) -> Site:
    """For tests that ask for nothing to be left as it was."""
    with django_db_blocker.unblock(), connected_to(committed_database):
        return make_site(server, speaker)


def make_site(server: Server, speaker: str) -> Site:
    key, tag = make_key(), make_tag(limit="1", mode="strict")
    site = Site(
        server.url,
        key.secret,
        tag.name,
        chat=make_model(address=f"{speaker}/v1").model_name,
        claude=make_model(provider="anthropic", address=speaker).model_name,
        embedding=make_model(address=f"{speaker}/v1", output=None).model_name,
    )
    hear(server)
    return site

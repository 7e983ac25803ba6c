"""The directory: the worker's bounded set of cards; the one door to the ORM, in a thread.

A card is a row as a frozen value. It is never truth about money: mode, limit and spent are read
under lock. A changed row's card is forgotten as soon as PostgreSQL says so; when nothing was heard
from PostgreSQL for five seconds no card is trusted.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from django.db import Error as DatabaseFailure
from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from proxy.catalogue import Catalogue, load_catalogue
from proxy.key_cards import KeyCard, load_key_card
from spend.errors import BudgetUnavailable
from tags.cards import TagCard, load_tag_card

Key = TypeVar("Key", bound=Hashable)
Card = TypeVar("Card")

THREADS = 4
KEYS_MAX = 20_000
UNKNOWN_KEYS_MAX = 20_000  # of their own, so that junk evicts no good card
TAGS_MAX = 50_000
TAG_SETS_MAX = 50_000
LOAD_SECONDS_MAX = 2.0
UNKNOWN_SECONDS = 5.0


class Shelf(Generic[Key, Card]):
    """Cards of one kind, the least recently used one forgotten first."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._cards: OrderedDict[Key, Card] = OrderedDict()
        self.generation = 0

    def find(self, key: Key) -> Card | None:
        card = self._cards.get(key)
        if card is not None:
            self._cards.move_to_end(key)
        return card

    def keep(self, key: Key, card: Card, *, generation: int) -> None:
        """Keep a card unless something changed since its row was read."""
        if generation != self.generation:
            return
        self._cards[key] = card
        if len(self._cards) > self._size_max:
            self._cards.popitem(last=False)

    def forget(self, matches: Callable[[Card], bool]) -> None:
        self.generation += 1
        for key in [key for key, card in self._cards.items() if matches(card)]:
            del self._cards[key]

    def clear(self) -> None:
        self.generation += 1
        self._cards.clear()


class Unknown:
    """The card of what does not exist."""

    def __init__(self, until: float) -> None:
        self.until = until


class Directory:
    def __init__(self, *, is_trusted: Callable[[], bool]) -> None:
        self._is_trusted = is_trusted
        self._connections: list[BaseDatabaseWrapper] = []
        self._threads = ThreadPoolExecutor(
            THREADS, thread_name_prefix="directory", initializer=self._enter_thread
        )
        self._keys: Shelf[str, KeyCard] = Shelf(KEYS_MAX)
        self._unknown_keys: Shelf[str, Unknown] = Shelf(UNKNOWN_KEYS_MAX)
        self._tags: Shelf[str, TagCard | Unknown] = Shelf(TAGS_MAX)
        self._catalogues: Shelf[str, Catalogue] = Shelf(1)
        self._tag_sets: Shelf[tuple[str, ...], int] = Shelf(TAG_SETS_MAX)
        self._loading: dict[tuple[str, Hashable], asyncio.Task[object]] = {}

    # -- looking up ------------------------------------------------------------------------------

    async def key(self, digest: str) -> KeyCard | None:
        """The key of that SHA-256 hex, or None. Raises BudgetUnavailable."""
        if self._is_trusted():
            if (card := self._keys.find(digest)) is not None:
                return card
            unknown = self._unknown_keys.find(digest)
            if unknown is not None and unknown.until > self._now():
                return None
        generation, unknown_generation = self._keys.generation, self._unknown_keys.generation
        found = await self._load("key", (digest, generation), lambda: load_key_card(digest))
        if found is None:
            missing = Unknown(self._now() + UNKNOWN_SECONDS)
            self._unknown_keys.keep(digest, missing, generation=unknown_generation)
        else:
            self._keys.keep(digest, found, generation=generation)
        return found

    async def tag(self, name: str) -> TagCard | None:
        """The registered tag of that name, or None. Raises BudgetUnavailable."""
        if self._is_trusted():
            card = self._tags.find(name)
            if isinstance(card, Unknown):
                if card.until > self._now():
                    return None
            elif card is not None:
                return card
        generation = self._tags.generation
        found = await self._load("tag", (name, generation), lambda: load_tag_card(name))
        kept = Unknown(self._now() + UNKNOWN_SECONDS) if found is None else found
        self._tags.keep(name, kept, generation=generation)
        return found

    async def catalogue(self) -> Catalogue:
        """The models on offer, with their prices. Raises BudgetUnavailable."""
        if self._is_trusted():
            card = self._catalogues.find("all")
            if card is not None and card.is_current():
                return card
        generation = self._catalogues.generation
        found = await self._load("catalogue", generation, load_catalogue)
        self._catalogues.keep("all", found, generation=generation)
        return found

    def tag_set(self, names: tuple[str, ...]) -> int | None:
        return self._tag_sets.find(names)

    def keep_tag_set(self, names: tuple[str, ...], tag_set: int) -> None:
        """Tag sets are never changed, so nothing ever has to be forgotten."""
        self._tag_sets.keep(names, tag_set, generation=self._tag_sets.generation)

    async def ask(self, kind: str, key: Hashable, verb: Callable[[], Card]) -> Card:
        """Run a verb on rows in a thread; equal questions at the same time are asked once."""
        return await self._load(kind, key, verb)

    # -- forgetting ------------------------------------------------------------------------------

    def forget(self, table: str, row_id: str) -> None:
        """A row changed: PostgreSQL told its table and id."""
        match table:
            case "tags_tag" | "tags_tagdraw":
                self._tags.forget(lambda card: isinstance(card, Unknown) or str(card.id) == row_id)
            case "proxy_apikey" | "proxy_keydraw":
                self._keys.forget(lambda card: str(card.id) == row_id)
                self._unknown_keys.clear()
            case "proxy_upstream" | "proxy_deployment" | "spend_price":
                self._catalogues.clear()

    def forget_unknown_tags(self) -> None:
        """One has just been made here; the notification may still be on its way."""
        self._tags.forget(lambda card: isinstance(card, Unknown))

    def forget_all(self) -> None:
        for shelf in (self._keys, self._unknown_keys, self._tags, self._catalogues):
            shelf.clear()

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._close_connections)

    # -- loading ---------------------------------------------------------------------------------

    async def _load(self, kind: str, key: Hashable, load: Callable[[], Card]) -> Card:
        """Read rows in a thread; those who miss the same card wait for one reading.

        A card's key here holds the generation: who comes after a change must not wait for a
        reading that began before it, and keep that as if it were new.
        """
        place = (kind, key)
        loading = self._loading.get(place)
        if loading is None:
            loading = asyncio.create_task(self._read(load), name=f"load {kind}")
            self._loading[place] = loading
            loading.add_done_callback(lambda _: self._loading.pop(place, None))
        # A waiter that leaves does not take the others' reading with it: wait() cancels nothing.
        await asyncio.wait([loading], timeout=LOAD_SECONDS_MAX)
        if not loading.done():
            raise BudgetUnavailable(f"the {kind} could not be looked up in time")
        try:
            return loading.result()  # type: ignore[return-value]
        except DatabaseFailure as error:
            raise BudgetUnavailable(f"the {kind} could not be looked up") from error

    async def _read(self, load: Callable[[], object]) -> object:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _read_in_thread, load
        )

    def _enter_thread(self) -> None:
        """A thread's connection is its own, but for the end: then nobody else would close it."""
        connection = connections["default"]
        connection.inc_thread_sharing()
        self._connections.append(connection)

    def _close_connections(self) -> None:
        for connection in self._connections:
            connection.close()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _read_in_thread(load: Callable[[], object]) -> object:
    """A connection that broke since it was last used is no reason to fail: a new one is tried."""
    close_old_connections()
    try:
        return load()
    except (OperationalError, InterfaceError):
        connections["default"].close()
        return load()
    finally:
        close_old_connections()

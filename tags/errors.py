"""Why a verb on tags, keys or pots was turned down. No HTTP in here."""


class TurnedDown(Exception):
    """The root. `text` is for the client; `field` is what it is about, or None."""

    def __init__(self, text: str, field: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.field = field


class NotThere(TurnedDown):
    """There is no such tag, key or budget."""


class Taken(TurnedDown):
    """Another one has that name already."""


class InUse(TurnedDown):
    """Somebody still draws on it."""


class Invalid(TurnedDown):
    """A value that only the stored rows could tell to be wrong."""


class Stale(TurnedDown):
    """Somebody else has changed it since it was read."""

"""Fields: texts that are turned into something else, which has no length to check any more."""

from typing import Any

from rest_framework.exceptions import ValidationError

from tags.fields import Text


class Turned(Text):
    """Checks the text, then hands on what `turn` makes of it."""

    def __init__(self, *, characters_max: int, **options: Any) -> None:
        super().__init__(**options)
        self.characters_max = characters_max

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        if len(text) > self.characters_max:
            raise ValidationError(f"must have at most {self.characters_max} characters")
        if "\0" in text:
            raise ValidationError("must not have a null character")
        return self.turn(text)

    def run_validators(self, value: Any) -> None:
        """They are those of texts, and this is none any more."""

    def turn(self, text: str) -> Any:
        raise NotImplementedError

"""Why a verb of the page cannot be done now."""

from typing import Literal

# turnstile_words_en.js and turnstile_words_tr.js have a text for each.
Refusal = Literal["is_so", "card_lies", "no_card", "city_is_busy", "no_list_can_name_it"]


class RefusedError(Exception):
    """A verb cannot be done now; the message is the Refusal."""

    def __init__(self, why: Refusal) -> None:
        """Make the error for this reason."""
        super().__init__(why)


def refuse_if(condition: bool, why: Refusal) -> None:
    """Raise RefusedError if the condition holds."""
    if condition:
        raise RefusedError(why)

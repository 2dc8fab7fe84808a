"""Until when a card can stand under a rule: no further than what is published can say. Pure."""

from backoffice.card_rows import UNIX_S_MAX
from backoffice.config import RuleConfig
from backoffice.piece_building import epoch


def latest_end_unix_s(rule: RuleConfig, now_unix_s: int) -> int:
    """The latest end that the rule's segments can keep, in Unix seconds. One made later counts from later, and reaches it too."""
    return min(epoch(now_unix_s, rule.until_unit_s) + rule.reach_s, UNIX_S_MAX)

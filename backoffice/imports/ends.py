"""The latest end of a card under a rule that a list can publish. Pure."""

from backoffice.home.config import RuleConfig
from backoffice.imports.card_rows import UNIX_S_MAX
from backoffice.publishing.epochs import HOUR_S, segment_epoch
from validator.lists.segment_builder import UNITS_MAX


def latest_end_unix_s(rule: RuleConfig, now_unix_s: int) -> int:
    """The latest end that the rule's segments can keep, in Unix seconds.

    A segment made later counts from later, and reaches this end too. The result is an hour less
    than what a segment made now would reach: one end too far stops the whole list, and the
    publisher's clock may be behind this one.
    """
    unit_s = rule.until_unit_s
    return min(segment_epoch(now_unix_s - HOUR_S, unit_s) + UNITS_MAX * unit_s, UNIX_S_MAX)

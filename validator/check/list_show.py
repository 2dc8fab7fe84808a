"""`turnike list show`: the rules and segments of the list in force, never a card."""

import json
from typing import Any

import click

from validator.check.finding import date
from validator.config import Config
from validator.domain.rules import Rule
from validator.formats.shown import shown
from validator.lists.segment import MappedTable
from validator.programs.lane import list_folder


def show_list(config: Config, *, as_json: bool) -> bool:
    """Print the rules and segments of the list in force; return whether there is one."""
    adopted = list_folder(config).settled()
    for problem in adopted.problems:
        click.echo(f"turnike: {shown(problem)}", err=True)
    if adopted.rules is None:
        click.echo(json.dumps({"list_version": None}) if as_json else "no list")
        return False
    rules = [_described(rule) for rule in adopted.rules.rules]
    whole = {
        "list_version": adopted.rules.version,
        "issued_unix_s": adopted.rules.issued_unix_s,
        "expires_unix_s": adopted.rules.expires_unix_s,
        "rules": rules,
    }
    click.echo(json.dumps(whole) if as_json else _as_text(whole))
    return True


def _described(rule: Rule) -> dict[str, Any]:
    headers = rule.table.headers if isinstance(rule.table, MappedTable) else ()
    return {
        "name": rule.name,
        "effect": rule.effect.value,
        "in_force_from_unix_s": rule.in_force_from_unix_s,
        "reports": rule.reports,
        "notice": rule.notice,
        "segments": [
            {
                "from": header.from_version,
                "to": header.to_version,
                "cards": header.count,
                "key_id": header.key_id.hex(),
            }
            for header in headers
        ],
    }


def _as_text(whole: dict[str, Any]) -> str:
    dates = f"issued {date(whole['issued_unix_s'])}, expires {date(whole['expires_unix_s'])}"
    lines = [f"list version {whole['list_version']}, {dates}"]
    for rule in whole["rules"]:
        flags = ", reported" if rule["reports"] else ""
        since = (
            f", in force from {date(rule['in_force_from_unix_s'])}"
            if rule["in_force_from_unix_s"]
            else ""
        )
        lines.append(f"  {rule['effect']:8} {rule['name']}{since}{flags}")
        lines += [
            f"           versions {part['from']} to {part['to']}: {part['cards']:,} cards"
            for part in rule["segments"]
        ]
    return "\n".join(lines)

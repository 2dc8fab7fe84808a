"""The commands about reports: report-key, and the group reports. The group they belong to is in cli.py; docs/runbook.md walks through them.

`report-key` and `reports open` need no home and no network. No UID comes to a terminal except by `reports open`, which is the authority's.
"""

from pathlib import Path

import click

from backoffice.cli_shared import folder_argument, new_passphrase, one_line, passphrase_option


@click.group(name="report-key")
def report_key() -> None:
    """Make the keys to which reports are sealed, and those that sign what is exported."""


@report_key.command(
    name="make", epilog="Example: turnike-backoffice report-key make report-2026 --out /media/stick"
)
@click.argument("name")
@click.option(
    "--out", type=folder_argument, required=True, metavar="DIR", help="Where NAME.pem and NAME.pub go."
)
@click.option("--signing", is_flag=True, help="Make a key with which an exporter signs, not one to seal to.")
@passphrase_option
@click.option(
    "--no-passphrase", is_flag=True, help="Leave the key unprotected; then only the safe protects it."
)
def report_key_make(
    name: str, out: Path, signing: bool, passphrase_file: Path | None, no_passphrase: bool
) -> None:
    """Make a key where the exporter is, or the authority: NAME.pem stays there, NAME.pub goes to whoever seals to it or checks by it."""
    from backoffice.report_keys import make_sealing_key, make_signing_key

    make = make_signing_key if signing else make_sealing_key
    with one_line():
        key_id = make(out, name, new_passphrase(passphrase_file, none=no_passphrase))
    use = "signs exports" if signing else "opens what is sealed"
    click.echo(f"{out / name}.pem: the private key, which {use}; it stays here, and never on the back office")
    click.echo(f"{out / name}.pub: the public part")
    click.echo(f"id {key_id}")

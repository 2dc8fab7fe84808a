"""The commands root-key and root. docs/runbook.md walks through them.

`root-key` needs no home and no network: it runs where the root keys are. Nothing here ever prints a
private key.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli.shared import (
    file_argument,
    held,
    home_of,
    home_option,
    key_out_option,
    new_passphrase,
    now_unix_s,
    os_errors_on_one_line,
    passphrase,
    passphrase_option,
)
from validator.errors import OperatorError

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # as in roots.py

    from backoffice.home.folder import Home


@click.group(name="root-key")
def root_key() -> None:
    """Make root keys and sign with them, offline."""


@root_key.command(
    name="make", epilog="Example: turnike-backoffice root-key make a --out /media/stick-a"
)
@click.argument("name")
@key_out_option
@passphrase_option
@click.option(
    "--no-passphrase",
    is_flag=True,
    help="Leave the key unprotected; then only the safe protects it.",
)
def root_key_make(name: str, out: Path, passphrase_file: Path | None, no_passphrase: bool) -> None:
    """Make a root key: NAME.pem stays where it is made, NAME.pub goes to the back office.

    The name is published in the root.
    """
    from backoffice.signing.keys import make_root_key

    with os_errors_on_one_line():
        key = make_root_key(out, name, new_passphrase(passphrase_file, none=no_passphrase))
    click.echo(f"{out / name}.pem: the private key; two copies, in two safes, and no other")
    click.echo(f"{out / name}.pub: the public part, for the back office")
    click.echo(f"id {key.keyid}")


@root_key.command(
    name="sign",
    epilog="Example: turnike-backoffice root-key sign 2.root.draft.json"
    " --previous 1.root.json --key a.pem",
)
@click.argument("draft", type=file_argument)
@click.option(
    "--key",
    "key_file",
    type=file_argument,
    required=True,
    metavar="FILE",
    help="The private root key.",
)
@click.option(
    "--previous",
    type=file_argument,
    metavar="FILE",
    help="The root before, to see what changes; root 1 has none.",
)
@passphrase_option
@click.option("--yes", is_flag=True, help="Sign without asking: for scripts, which read nothing.")
def root_key_sign(
    draft: Path, key_file: Path, previous: Path | None, passphrase_file: Path | None, yes: bool
) -> None:
    """Show what a draft holds, ask, and add the signature of one root key to it."""
    from backoffice.home.folder import put
    from backoffice.signing.keys import read_private_key
    from backoffice.signing.root_text import described
    from backoffice.signing.roots import draft_bytes, read_root, sign_root

    with os_errors_on_one_line():
        root = read_root(draft)
        before = read_root(previous) if previous else None
        click.echo("\n".join(described(root.signed, before.signed if before else None)))
        if before is None and root.signed.version > 1:
            click.echo("not compared with the root before; --previous would show what changes")
        if not yes and not click.confirm("Sign this?"):
            raise OperatorError(f"{draft}: not signed")
        sign_root(root, read_private_key(key_file, passphrase(passphrase_file)), before)
        put(draft, draft_bytes(root))
        click.echo(f"{draft}: signed. {_signatures(root, before)}")


@click.group()
def root() -> None:
    """Show the root in force, and put a signed draft into force."""


@root.command(
    name="accept", epilog="Example: turnike-backoffice root accept 2.root.draft.json --home city"
)
@click.argument("drafts", type=file_argument, nargs=-1, required=True, metavar="DRAFT...")
@home_option
def root_accept(drafts: tuple[Path, ...], home_folder: Path) -> None:
    """Put a draft into force that enough root keys have signed; several copies are merged.

    Gates find the new root at their next poll. What is published is signed again at once with the
    keys that it names.
    """
    from backoffice.signing import ceremonies
    from backoffice.signing.roles import sign_timestamp

    with held(home_folder) as home:
        accepted = ceremonies.accept(home, drafts, now_unix_s())
        path = home.roots / f"{accepted.version}.root.json"
        click.echo(
            f"root {accepted.version} is in force until {accepted.expires:%Y-%m-%d}."
            f" A new gate begins with {path}"
        )
        try:
            published = sign_timestamp(home, now_unix_s())
        except OperatorError as error:
            raise OperatorError(
                f"root {accepted.version} is in force, but under it: {error}"
            ) from error
        signed = ", ".join(published.files) or "nothing else had to be signed"
        click.echo(
            signed
            if published.versions.timestamp
            else "Nothing is published yet. Next: import cards, and publish."
        )


@root.command(name="discard", epilog="Example: turnike-backoffice root discard --home city")
@home_option
def root_discard(home_folder: Path) -> None:
    """Delete the draft that waits, and retire the online keys made for it."""
    from backoffice.signing.roots import discard_draft

    with held(home_folder) as home:
        click.echo(
            f"{discard_draft(home)}: given up."
            " Copies of it cannot be accepted if it named new online keys."
        )


@root.command(name="show", epilog="Example: turnike-backoffice root show --home city --json")
@home_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def root_show(home_folder: Path, as_json: bool) -> None:
    """Show the root in force, the draft that waits, what is published, and the fingerprint keys."""
    from backoffice.signing.overview import overview

    with os_errors_on_one_line():
        seen = overview(home_of(home_folder), now_unix_s())
    if as_json:
        click.echo(json.dumps(seen.fields, sort_keys=True))
    else:
        click.echo("\n".join(seen.lines))


def _signatures(root: "Metadata[Root]", before: "Metadata[Root] | None") -> str:
    from backoffice.signing.roots import unmet

    missing = unmet(root, before.signed if before else None)
    return (
        f"Not enough yet: {missing}." if missing else "Enough keys have signed; next: root accept."
    )


def tell_ceremony(home: "Home", draft: Path) -> None:
    """Print what to do with a new draft."""
    from backoffice.signing.roots import newest_root, read_root

    newest = newest_root(home)
    signers = newest or read_root(draft)
    previous = home.roots / f"{newest.signed.version}.root.json" if newest else None
    carried = f"{draft} and {previous}" if previous else str(draft)
    shown = f" --previous {previous.name}" if previous else ""
    click.echo("Next:")
    click.echo(f"  1. carry {carried} to where the root keys are")
    click.echo(
        f"  2. there, with {signers.signed.roles['root'].threshold} keys:"
        f" turnike-backoffice root-key sign {draft.name}{shown} --key NAME.pem"
    )
    click.echo(
        f"  3. bring it back: turnike-backoffice root accept {draft.name} --home {home.folder}"
    )

"""The commands init and rotate. docs/runbook.md walks through them.

Nothing here ever prints a private key.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli.roots import tell_ceremony
from backoffice.cli.shared import (
    file_argument,
    folder_argument,
    held,
    home_option,
    now_unix_s,
    os_errors_on_one_line,
)
from validator.errors import OperatorError

if TYPE_CHECKING:
    from backoffice.home.folder import Home

ONLINE_ROLES = ("timestamp", "snapshot", "targets")


@click.command(
    epilog="Example: turnike-backoffice init city --root a.pub --root b.pub --root c.pub"
    " --threshold 2"
)
@click.argument("home_folder", type=folder_argument, metavar="HOME")
@click.option(
    "--root",
    "publics",
    type=file_argument,
    multiple=True,
    metavar="PUB",
    help="A root key's public part.",
)
@click.option(
    "--threshold",
    type=click.IntRange(1, 16),
    default=2,
    show_default=True,
    help="How many must sign a root.",
)
@click.option(
    "--development",
    is_flag=True,
    help="Make root keys as well, unprotected: never for a real city.",
)
def init(home_folder: Path, publics: tuple[Path, ...], threshold: int, development: bool) -> None:
    """Make the home of a back office, with a draft of root 1.

    It has the configuration, the registry, online keys and a fingerprint key. The root keys are
    made before, where they are to stay: turnike-backoffice root-key make. They sign the draft.
    """
    from backoffice.signing import ceremonies
    from backoffice.signing.keys import read_public_key

    if development == bool(publics):
        raise OperatorError(
            "give the public part of each root key with --root, or use --development"
        )
    with os_errors_on_one_line():
        keys = [read_public_key(path) for path in publics]
        if not development:
            ceremonies.require_enough(keys, threshold)
        with _new_folder(home_folder):
            home = _made_home(home_folder)
            with home.hold():
                if development:
                    ceremonies.found_for_development(home, now_unix_s())
                else:
                    draft = ceremonies.found(home, keys, threshold, now_unix_s())
    if development:
        click.echo("FOR DEVELOPMENT ONLY: the root keys lie in this folder, unprotected.")
        click.echo(f"{home_folder}: root 1 is in force. Next: import cards, and publish.")
    else:
        click.echo(f"{home_folder}: made. No private root key is here, and none may ever be.")
        tell_ceremony(home, draft)


@click.command(epilog="Example: turnike-backoffice rotate timestamp snapshot --home city")
@click.argument(
    "what",
    nargs=-1,
    type=click.Choice([*ONLINE_ROLES, "root", "fingerprint-key"]),
    metavar="WHAT...",
)
@home_option
@click.option(
    "--remove",
    multiple=True,
    metavar="KEY",
    help="With root: a root key's name, or how its id begins.",
)
@click.option(
    "--add",
    type=file_argument,
    multiple=True,
    metavar="PUB",
    help="With root: a new root key's public part.",
)
@click.option(
    "--threshold", type=click.IntRange(1, 16), help="With root: how many must sign from now on."
)
@click.option(
    "--start",
    "step",
    flag_value="start",
    help="With fingerprint-key: make the next key, for the gates to hold.",
)
@click.option(
    "--switch",
    "step",
    flag_value="switch",
    help="With fingerprint-key: publish under the next key from now on.",
)
def rotate(
    what: tuple[str, ...],
    home_folder: Path,
    remove: tuple[str, ...],
    add: tuple[Path, ...],
    threshold: int | None,
    step: str | None,
) -> None:
    """Replace keys: any of timestamp, snapshot, targets and root together, or fingerprint-key.

    The first four make a draft of the next root, which the root keys sign; until it is accepted the
    old keys sign. rotate root without any change renews the root before it expires.
    """
    of_root = bool(remove or add or threshold)
    if not what:
        raise OperatorError(
            "name what to rotate: timestamp, snapshot, targets and root, or fingerprint-key"
        )
    if "fingerprint-key" in what:
        if len(set(what)) > 1 or of_root or step is None:
            raise OperatorError("rotate fingerprint-key alone, with --start or with --switch")
        _rotate_fingerprint_key(home_folder, step)
    elif step or (of_root and "root" not in what):
        raise OperatorError(
            "--start and --switch go with fingerprint-key;"
            " --remove, --add and --threshold with root"
        )
    else:
        _rotate_roles(
            home_folder, [role for role in ONLINE_ROLES if role in what], remove, add, threshold
        )


def _rotate_roles(
    home_folder: Path,
    roles: Sequence[str],
    remove: Sequence[str],
    add: Sequence[Path],
    threshold: int | None,
) -> None:
    from backoffice.signing import ceremonies
    from backoffice.signing.keys import read_public_key

    with held(home_folder) as home:
        keys = [read_public_key(path) for path in add]
        draft = ceremonies.rotate(
            home, roles, now_unix_s(), remove=remove, add=keys, threshold=threshold
        )
        if roles:
            click.echo(
                f"New keys of {', '.join(roles)} are made."
                " Until the new root is accepted the old ones go on signing."
            )
        tell_ceremony(home, draft)


def _rotate_fingerprint_key(home_folder: Path, step: str) -> None:
    from backoffice.signing.keys import start_fingerprint_key, switch_fingerprint_key

    with held(home_folder) as home:
        if step == "start":
            path = home.fingerprint_keys / f"{start_fingerprint_key(home)}.key"
            click.echo(f"{path}: made. Lists go on under the key before.")
            click.echo(
                "Gates get it with their next status, a stolen one too until it is struck off;"
                " gates that send none, by hand (list.keys, mode 0600)."
            )
            click.echo(
                "Next: when turnike-backoffice gates shows that every gate holds it,"
                " rotate fingerprint-key --switch."
            )
        else:
            before, now = switch_fingerprint_key(home)
            click.echo(
                f"Lists are made under {now} from the next publication on,"
                f" and not under {before} any more."
            )
            click.echo(
                "Next: publish. Every gate begins again at a snapshot;"
                " one that lacks the key keeps the list it has."
            )


@contextmanager
def _new_folder(home_folder: Path) -> Iterator[None]:
    """Make a folder, and remove it and its content if the block fails.

    A home that is half made could not be founded again.
    """
    if home_folder.exists() and any(home_folder.iterdir()):
        raise OperatorError(
            f"{home_folder}: is not empty; a back office begins in a folder of its own"
        )
    made = [folder for folder in (home_folder, *home_folder.parents) if not folder.exists()]
    try:
        home_folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in home_folder.iterdir() if home_folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for folder in made:  # from the home upwards
            with suppress(OSError):
                folder.rmdir()
        raise


def _made_home(home_folder: Path) -> "Home":
    """Make a home with its configuration and its registry, and no key yet."""
    from backoffice.home.config import FILE_NAME, example, load
    from backoffice.home.folder import make_file
    from backoffice.registry.registry import Registry
    from validator.host.plain_files import SECRET_MODE

    home_folder.chmod(0o711)  # the web server passes through to `published`, and lists nothing
    make_file(home_folder / FILE_NAME, example().encode(), SECRET_MODE)
    config = load(home_folder)
    before = os.umask(0o077)  # the registry names the suspended
    try:
        Registry.open(config.database_url).close()
    finally:
        os.umask(before)
    return config.home

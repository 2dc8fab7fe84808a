"""The command of `make deb`."""

import os
import shutil
from pathlib import Path

import click

from tools.deb.build import Builder
from tools.deb.contents import PACKAGES
from tools.deb.libraries import LibraryError
from tools.deb.systems import ARCHITECTURES, SUITES, Target
from tools.deb.tree import REPOSITORY


@click.command()
@click.option("--suite", "suites", multiple=True, type=click.Choice(list(SUITES)))
@click.option("--architecture", "architectures", multiple=True, type=click.Choice([*ARCHITECTURES]))
@click.option("--package", "packages", multiple=True, type=click.Choice(list(PACKAGES)))
@click.option("--out", type=click.Path(path_type=Path), default=REPOSITORY / "build" / "deb")
def main(
    suites: tuple[str, ...], architectures: tuple[str, ...], packages: tuple[str, ...], out: Path
) -> None:
    """Build the packages, each for each suite and architecture; by default all."""
    os.umask(0o022)
    if shutil.which("dpkg-deb") is None:
        raise click.ClickException("dpkg-deb is missing; on Debian: apt-get install dpkg")
    for suite in suites or SUITES:
        for architecture in architectures or ARCHITECTURES:
            target = Target(SUITES[suite], ARCHITECTURES[architecture])
            try:
                builder = Builder(target, out / "work" / str(target))
                for name in packages or PACKAGES:
                    path = builder.deb(PACKAGES[name], out)
                    click.echo(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
            except LibraryError as error:
                raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()

"""Under any umask the web server reads all that is published, and no other user reads a key."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.home.folder import Home
from backoffice.signing.ceremonies import found_for_development
from tests.support.city.publishing_rig import PublishingOffice
from validator.domain.cards import CardUid

NOW_UNIX_S = 1_800_000_000
UID = CardUid(bytes.fromhex("04a1b2c3d4e5f6"))


@pytest.fixture
def tired_operator() -> Iterator[None]:
    """A home under a umask that lets no other user see anything."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def closed(published: Path) -> list[str]:
    """What the web server cannot read or enter."""
    wanted = {True: 0o555, False: 0o444}
    return [
        str(path.relative_to(published.parent))
        for path in (published, *published.rglob("*"))
        if (bits := wanted[path.is_dir()]) != stat.S_IMODE(path.stat().st_mode) & bits
    ]


@pytest.mark.usefixtures("tired_operator")
def test_what_is_founded_and_published_under_umask_077_can_be_served(tmp_path: Path) -> None:
    city = PublishingOffice(tmp_path)
    city.publish()
    assert closed(city.published) == []


def test_no_other_user_can_write_what_is_published_under_umask_000(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        city = PublishingOffice(tmp_path)
        city.publish()
    finally:
        os.umask(before)
    public = (city.published, *city.published.rglob("*"))
    assert len(public) > 5
    assert [path for path in public if path.stat().st_mode & stat.S_IWOTH] == []


@pytest.mark.usefixtures("tired_operator")
def test_a_published_folder_elsewhere_is_reached_through_what_was_made_for_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "city").mkdir()
    (tmp_path / "www").mkdir()
    home = Home(tmp_path / "city", tmp_path / "www" / "lists" / "v1")
    found_for_development(home, NOW_UNIX_S)
    assert closed(home.published) == []
    assert stat.S_IMODE((tmp_path / "www" / "lists").stat().st_mode) & 0o555 == 0o555
    assert stat.S_IMODE((tmp_path / "www").stat().st_mode) == 0o700, (
        "it was there, and is not ours to open"
    )
    for secret in (home.online_keys, home.fingerprint_keys, home.folder / "keys"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o700


def test_what_was_published_so_before_is_opened_by_the_next_publication(tmp_path: Path) -> None:
    city = PublishingOffice(tmp_path)
    city.publish()
    for path in (city.published, *city.published.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert len(closed(city.published)) > 5
    city.publish()
    assert closed(city.published) == []

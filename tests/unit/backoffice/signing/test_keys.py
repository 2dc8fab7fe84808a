"""Key files: made once, readable by one, never shown; and which of them signs."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from backoffice.home.folder import Home
from backoffice.signing import keys
from backoffice.signing.keys import KeyFileError
from tests.support.city.backoffice_rig import City
from validator.errors import OperatorError
from validator.lists.fingerprint_keys import key_id, parse_key_file

WORDS = "correct horse battery staple"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The folders of a back office, without a key."""
    return City(tmp_path).home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_key_can_be_read_by_its_owner_alone(home: Home, tmp_path: Path) -> None:
    keys.make_root_key(tmp_path, "a", None)
    keys.make_online_key(home, "timestamp")
    made = keys.make_fingerprint_key(home)
    for path in (
        tmp_path / "a.pem",
        home.online_keys / "timestamp.pem",
        home.fingerprint_keys / f"{made}.key",
    ):
        assert mode(path) == 0o600, path
    assert mode(tmp_path / "a.pub") == 0o644


def test_a_key_is_never_overwritten(home: Home, tmp_path: Path) -> None:
    keys.make_root_key(tmp_path, "a", None)
    before = (tmp_path / "a.pem").read_bytes()
    with pytest.raises(OperatorError, match=r"a\.pub: is there already"):
        keys.make_root_key(tmp_path, "a", None)
    (tmp_path / "a.pub").unlink()
    with pytest.raises(OperatorError, match=r"a\.pem: is there already"):
        keys.make_root_key(tmp_path, "a", None)
    keys.make_online_key(home, "targets")
    with pytest.raises(OperatorError, match=r"targets\.pem: is there already"):
        keys.make_online_key(home, "targets")
    assert (tmp_path / "a.pem").read_bytes() == before


def test_a_link_laid_where_a_key_is_to_be_made_is_not_followed(home: Home, tmp_path: Path) -> None:
    (home.online_keys / "targets.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="is there already"):
        keys.make_online_key(home, "targets")
    assert not (tmp_path / "elsewhere").exists()


def test_the_public_part_is_that_of_the_private_key(tmp_path: Path) -> None:
    made = keys.make_root_key(tmp_path, "a", WORDS)
    public = keys.read_public_key(tmp_path / "a.pub")
    private = keys.read_private_key(tmp_path / "a.pem", lambda: WORDS).public_key
    assert made == public
    assert (private.keyid, private.keyval) == (public.keyid, public.keyval)
    assert keys.key_name(public) == "a"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl (Debian: openssl)")
def test_openssl_makes_keys_that_are_read_and_reads_those_that_are_made(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(theirs))
    openssl("pkey", "-in", str(theirs), "-pubout", "-out", str(tmp_path / "theirs.pub"))
    assert (
        keys.read_private_key(theirs).public_key.keyid
        == keys.read_public_key(tmp_path / "theirs.pub").keyid
    )
    keys.make_root_key(tmp_path, "ours", WORDS)
    shown = openssl("pkey", "-in", str(ours), "-passin", f"pass:{WORDS}", "-pubout")
    assert shown == (tmp_path / "ours.pub").read_bytes()


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no private key in PEM"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "is no private key in PEM",
        ),
        (b"\xff" * 100, "is no private key in PEM"),
        (b"x" * 5_000, "has more than 4096 bytes"),
    ],
)
def test_a_file_that_is_no_private_key_is_one_line_with_its_path(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        keys.read_private_key(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_not_there_is_one_line_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"gone\.pem: No such file"):
        keys.read_private_key(tmp_path / "gone.pem")


def test_private_and_public_parts_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    keys.make_root_key(tmp_path, "a", None)
    with pytest.raises(KeyFileError, match="it stays where it is"):
        keys.read_public_key(tmp_path / "a.pem")
    with pytest.raises(KeyFileError, match="is the public part"):
        keys.read_private_key(tmp_path / "a.pub")


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65_537, 2_048), X25519PrivateKey.generate()],
    ids=["rsa", "x25519"],
)
def test_a_key_of_another_kind_is_refused(
    tmp_path: Path, key: RSAPrivateKey | X25519PrivateKey
) -> None:
    private, public = tmp_path / "other.pem", tmp_path / "other.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="is no Ed25519 key"):
        keys.read_private_key(private)
    with pytest.raises(KeyFileError, match="is no Ed25519 key"):
        keys.read_public_key(public)


def test_a_passphrase_is_asked_for_when_there_is_one_and_must_be_right(tmp_path: Path) -> None:
    keys.make_root_key(tmp_path, "open", None)
    keys.make_root_key(tmp_path, "shut", WORDS)
    asked: list[str] = []

    def ask() -> str:
        asked.append("")
        return WORDS

    keys.read_private_key(tmp_path / "open.pem", ask)
    assert not asked
    keys.read_private_key(tmp_path / "shut.pem", ask)
    assert len(asked) == 1
    with pytest.raises(KeyFileError, match="the passphrase is not right"):
        keys.read_private_key(tmp_path / "shut.pem", lambda: "another")
    with pytest.raises(KeyFileError, match="no terminal to ask for it"):
        keys.read_private_key(tmp_path / "shut.pem")


@pytest.mark.parametrize("name", ["", "../a", "a b", "a/b", ".a", "a" * 33, "ş", "a\n"])
def test_a_name_that_could_be_a_path_or_trick_a_reader_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(KeyFileError, match="is no name for a key"):
        keys.make_root_key(tmp_path, name, None)
    assert not list(tmp_path.iterdir())


def test_an_online_key_that_others_may_read_signs_nothing(home: Home) -> None:
    made = keys.make_online_key(home, "timestamp")
    (home.online_keys / "timestamp.pem").chmod(0o640)
    with pytest.raises(
        KeyFileError, match=r"timestamp\.pem: others may read it \(mode 640\); chmod 600"
    ):
        keys.online_signer(home, "timestamp", [made.keyid], 1)


def test_the_root_alone_decides_which_online_key_signs(home: Home) -> None:
    now = keys.make_online_key(home, "timestamp")
    then = keys.make_online_key(home, "timestamp", following=True)
    for named in (now, then):
        assert (
            keys.online_signer(home, "timestamp", [named.keyid], 1).public_key.keyid == named.keyid
        )
    with pytest.raises(KeyFileError) as caught:
        keys.online_signer(home, "timestamp", ["77" * 32], 7)
    assert "no key of timestamp here is one that root 7 names (7777777777777777)" in str(
        caught.value
    )
    assert f"timestamp.next.pem is {then.keyid[:16]}" in str(caught.value)


@pytest.mark.parametrize("killed_after", range(5))
def test_an_online_key_follows_another_wherever_the_change_is_cut(
    home: Home, killed_after: int
) -> None:
    before = keys.make_online_key(home, "timestamp")
    after = keys.make_online_key(home, "timestamp", following=True)
    named = {role: [after.keyid] for role in keys.ONLINE_ROLES}
    for _ in zip(range(killed_after), keys.settle_steps(home, named), strict=False):
        pass
    assert keys.online_signer(home, "timestamp", [after.keyid], 2)
    for _ in keys.settle_steps(home, named):
        pass
    assert keys.online_key(home, "timestamp") == after
    assert keys.online_key(home, "timestamp", following=True) is None
    retired = home.retired_keys / f"timestamp-{before.keyid[:16]}.pem"
    assert keys.read_private_key(retired).public_key.keyid == before.keyid
    assert mode(home.retired_keys) == 0o700


def test_a_following_key_waits_until_the_root_names_it(home: Home) -> None:
    before = keys.make_online_key(home, "timestamp")
    keys.make_online_key(home, "timestamp", following=True)
    assert not list(keys.settle_steps(home, {role: [before.keyid] for role in keys.ONLINE_ROLES}))
    assert keys.online_key(home, "timestamp") == before


def test_fingerprint_keys_are_started_and_then_switched_to(home: Home) -> None:
    first = keys.make_fingerprint_key(home)
    assert keys.current_fingerprint_key(home).id == first
    with pytest.raises(OperatorError, match="there is no next key"):
        keys.switch_fingerprint_key(home)
    coming = keys.start_fingerprint_key(home)
    assert keys.current_fingerprint_key(home).id == first
    with pytest.raises(OperatorError, match=f"{coming}.key is the next one already"):
        keys.start_fingerprint_key(home)
    assert keys.switch_fingerprint_key(home) == (first, coming)
    current = keys.current_fingerprint_key(home)
    assert current == (
        coming,
        parse_key_file((home.fingerprint_keys / f"{coming}.key").read_bytes()),
    )
    assert key_id(current.key).hex() == coming
    assert keys.next_fingerprint_key(home) is None


def test_a_switch_that_was_cut_after_the_new_key_came_into_use_is_done(home: Home) -> None:
    keys.make_fingerprint_key(home)
    coming = keys.start_fingerprint_key(home)
    (home.fingerprint_keys / "current").write_text(f"{coming}\n")  # and `next` says so still
    assert keys.next_fingerprint_key(home) is None
    another = keys.start_fingerprint_key(home)
    assert keys.switch_fingerprint_key(home) == (coming, another)


def test_a_fingerprint_key_under_another_ones_name_is_noticed(home: Home) -> None:
    first = keys.make_fingerprint_key(home)
    coming = keys.start_fingerprint_key(home)
    (home.fingerprint_keys / f"{first}.key").write_bytes(
        (home.fingerprint_keys / f"{coming}.key").read_bytes()
    )
    with pytest.raises(KeyFileError, match=f"{first}.key: holds another key, with the id {coming}"):
        keys.current_fingerprint_key(home)


@pytest.mark.parametrize(
    "content", ["", "../../etc/passwd", "0123456789abcde", "0123456789ABCDEF", "x" * 100]
)
def test_a_spoiled_name_of_the_current_key_is_one_line(home: Home, content: str) -> None:
    (home.fingerprint_keys / "current").write_text(content)
    with pytest.raises(
        KeyFileError, match=r"fingerprint/current: (is not the id of a key|has more than)"
    ):
        keys.current_fingerprint_key(home)


def test_no_error_shows_a_fingerprint_key(home: Home) -> None:
    first = keys.make_fingerprint_key(home)
    path = home.fingerprint_keys / f"{first}.key"
    secret = path.read_text().splitlines()[-1]
    path.chmod(0o600)
    path.write_text(f"{secret}\n{secret}\n")
    with pytest.raises(KeyFileError) as caught:
        keys.current_fingerprint_key(home)
    assert secret not in str(caught.value)

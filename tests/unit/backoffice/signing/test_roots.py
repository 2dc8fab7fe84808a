"""Roots: none comes into force without enough signatures, and no one signs what was not shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # re-exports none

from backoffice.home.folder import put
from backoffice.signing import keys, roots
from backoffice.signing.root_text import described
from backoffice.signing.roots import RootError
from tests.support.city.backoffice_rig import DAY_S, NOW_UNIX_S, City

LATER_UNIX_S = NOW_UNIX_S + 400 * DAY_S


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A city whose root 1 is in force; root keys a, b, c, threshold 2."""
    return City.founded(tmp_path)


def private(city: City, name: str) -> Any:
    return keys.read_private_key(city.folder / "safe" / f"{name}.pem")


def in_force(city: City) -> int:
    return city.root.version


@pytest.mark.parametrize("signers", ["", "a", "aa", "c"])
def test_a_threshold_that_is_not_reached_is_refused(city: City, signers: str) -> None:
    draft = city.signed(city.following("timestamp"), signers)
    with pytest.raises(
        RootError, match=f"of root 2's keys {len(set(signers))} of 2 signed"
    ) as caught:
        city.accept(draft)
    assert "missing" in str(caught.value)
    assert in_force(city) == 1
    assert not (city.home.metadata / "2.root.json").exists()


def test_a_root_signed_by_removed_keys_is_refused(city: City) -> None:
    without_a = roots.next_root(city.root, LATER_UNIX_S, remove=["a"], add=[city.root_key("d")])
    city.accept(city.signed(without_a, "abd"))
    draft = roots.next_root(city.root, LATER_UNIX_S)
    with pytest.raises(RootError, match="is no root key of the draft"):
        city.signed(draft, "a")
    draft.sign(private(city, "a"), append=True)  # a person with other tools
    draft.sign(private(city, "b"), append=True)
    with pytest.raises(RootError, match="of root 3's keys 1 of 2 signed"):
        city.accept(draft)
    assert in_force(city) == 2


def test_new_keys_alone_cannot_take_over(city: City) -> None:
    add = [city.root_key("d"), city.root_key("e"), city.root_key("f")]
    draft = roots.next_root(city.root, LATER_UNIX_S, remove=["a", "b", "c"], add=add)
    city.signed(draft, "def")
    with pytest.raises(RootError, match="of root 1's keys 0 of 2 signed"):
        city.accept(draft)
    city.accept(city.signed(draft, "ab"))
    assert in_force(city) == 2


def later(signed: dict[str, Any]) -> None:
    signed["expires"] = "2099-01-01T00:00:00Z"


def lower(signed: dict[str, Any]) -> None:
    signed["roles"]["root"]["threshold"] = 1


def swapped(signed: dict[str, Any]) -> None:
    signed["roles"]["timestamp"], signed["roles"]["snapshot"] = (
        signed["roles"]["snapshot"],
        signed["roles"]["timestamp"],
    )


@pytest.mark.parametrize("tamper", [later, lower, swapped])
def test_a_draft_tampered_with_after_signing_is_refused(
    city: City, tmp_path: Path, tamper: Callable[[dict[str, Any]], None]
) -> None:
    draft = json.loads(roots.draft_bytes(city.signed(city.following("timestamp"), "ab")))
    tamper(draft["signed"])
    path = tmp_path / "tampered.json"
    path.write_text(json.dumps(draft))
    with pytest.raises(RootError, match="is not signed by enough keys, or was changed afterwards"):
        list(roots.accept_steps(city.home, [path], NOW_UNIX_S))
    assert in_force(city) == 1


def copied_key(signed: dict[str, Any]) -> None:
    one = signed["roles"]["root"]["keyids"][0]
    signed["keys"]["ab" * 32] = signed["keys"][one] | {"x-turnike-name": "z"}
    signed["roles"]["root"]["keyids"].append("ab" * 32)


def shared_key(signed: dict[str, Any]) -> None:
    del signed["keys"][signed["roles"]["targets"]["keyids"][0]]
    signed["roles"]["targets"]["keyids"] = signed["roles"]["snapshot"]["keyids"]


def hidden_key(signed: dict[str, Any]) -> None:
    signed["roles"]["root"]["keyids"].pop()


def hidden_word(signed: dict[str, Any]) -> None:
    signed["delegations"] = {}


def hidden_word_of_a_role(signed: dict[str, Any]) -> None:
    signed["roles"]["targets"]["paths"] = ["*"]


def hidden_word_of_a_key(signed: dict[str, Any]) -> None:
    next(iter(signed["keys"].values()))["comment"] = "\x1b[2J"


def tricky_name(signed: dict[str, Any]) -> None:
    next(iter(signed["keys"].values()))["x-turnike-name"] = "\x1b[2Jb"


def one_name_twice(signed: dict[str, Any]) -> None:
    for key in signed["roles"]["root"]["keyids"]:
        signed["keys"][key]["x-turnike-name"] = "a"


def no_threshold(signed: dict[str, Any]) -> None:
    signed["roles"]["root"]["threshold"] = 0


def unreachable_threshold(signed: dict[str, Any]) -> None:
    signed["roles"]["root"]["threshold"] = 4


def two_of_timestamp(signed: dict[str, Any]) -> None:
    signed["roles"]["timestamp"]["threshold"] = 2


def no_key(signed: dict[str, Any]) -> None:
    del signed["keys"][signed["roles"]["timestamp"]["keyids"].pop()]


def half_a_version(signed: dict[str, Any]) -> None:
    signed["version"] = 1.5


def true_threshold(signed: dict[str, Any]) -> None:
    signed["roles"]["timestamp"]["threshold"] = True


def mutable_names(signed: dict[str, Any]) -> None:
    signed["consistent_snapshot"] = False


def short_key(signed: dict[str, Any]) -> None:
    next(iter(signed["keys"].values()))["keyval"]["public"] = "00"


def other_kind_of_key(signed: dict[str, Any]) -> None:
    next(iter(signed["keys"].values())).update(keytype="rsa", scheme="rsassa-pss-sha256")


UNSOUND = [
    copied_key,
    shared_key,
    hidden_key,
    hidden_word,
    hidden_word_of_a_role,
    hidden_word_of_a_key,
    tricky_name,
    one_name_twice,
    no_threshold,
    unreachable_threshold,
    two_of_timestamp,
    no_key,
    half_a_version,
    true_threshold,
    mutable_names,
    short_key,
    other_kind_of_key,
]


@pytest.mark.parametrize("change", UNSOUND, ids=lambda change: change.__name__)
def test_a_draft_with_fields_that_people_are_not_shown_is_not_even_read(
    city: City, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    draft = json.loads(roots.draft_bytes(city.following("timestamp")))
    change(draft["signed"])
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(draft))
    with pytest.raises(RootError) as caught:
        roots.read_root(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff\xfe", b"[" * 60_000, b"x" * 70_000, b'{"signed":1}', b"null"],
)
def test_a_file_that_is_no_draft_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "draft.json"
    path.write_bytes(content)
    with pytest.raises(RootError) as caught:
        roots.read_root(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_metadata_of_another_role_is_no_root(city: City) -> None:
    city.publish(1)
    with pytest.raises(RootError, match="is metadata of the role targets, not a root"):
        roots.read_root(city.home.metadata / "1.targets.json")


def test_copies_signed_in_two_places_are_accepted_together(city: City) -> None:
    draft = city.following("snapshot")
    one, two = Metadata(draft.signed), Metadata(draft.signed)
    city.accept(city.signed(one, "a"), city.signed(two, "c"))
    assert in_force(city) == 2


def test_copies_that_differ_are_refused(city: City) -> None:
    one = city.signed(roots.next_root(city.root, LATER_UNIX_S), "a")
    two = city.signed(roots.next_root(city.root, LATER_UNIX_S + 1), "b")
    with pytest.raises(RootError, match="the drafts differ"):
        city.accept(one, two)


def test_nothing_unsigned_is_published_with_a_root(city: City) -> None:
    draft = city.signed(city.following("snapshot"), "ab")
    stranger = keys.make_root_key(city.folder, "stranger", None)
    draft.sign(keys.read_private_key(city.folder / "stranger.pem"), append=True)
    draft.unrecognized_fields["note"] = "not signed"
    city.accept(draft)
    published = json.loads((city.home.metadata / "2.root.json").read_bytes())
    assert set(published) == {"signed", "signatures"}
    assert stranger.keyid not in {signature["keyid"] for signature in published["signatures"]}


def test_a_root_out_of_turn_is_refused(city: City) -> None:
    second = roots.next_root(city.root, LATER_UNIX_S)
    third = city.signed(roots.next_root(second.signed, LATER_UNIX_S), "")
    for name in "ab":
        third.sign(private(city, name), append=True)
    with pytest.raises(RootError, match="the draft is root 3, and the next to come is root 2"):
        city.accept(third)


def test_a_root_that_has_expired_on_the_way_is_refused(city: City) -> None:
    draft = city.signed(roots.next_root(city.root, NOW_UNIX_S + 10), "ab")
    with pytest.raises(
        RootError, match=r"root 2 has expired already \(2027-01-15\); make a new draft"
    ):
        city.accept(draft, now_unix_s=NOW_UNIX_S + 10)


def test_a_root_that_names_online_keys_which_are_not_here_is_refused(city: City) -> None:
    draft = city.signed(city.following("timestamp"), "ab")
    (city.home.online_keys / "timestamp.next.pem").unlink()
    with pytest.raises(
        RootError, match=r"names a key of timestamp that is not in .*; nothing could be signed"
    ):
        city.accept(draft)


def test_a_key_that_leaves_signs_for_the_last_time_when_the_root_before_is_given(
    city: City,
) -> None:
    draft = roots.next_root(city.root, LATER_UNIX_S, remove=["a"], add=[city.root_key("d")])
    with pytest.raises(RootError, match="give that root with --previous"):
        roots.sign_root(draft, private(city, "a"), None)
    roots.sign_root(draft, private(city, "a"), roots.newest_root(city.home))
    city.accept(city.signed(draft, "bd"))
    assert in_force(city) == 2


def test_the_root_before_must_be_the_one_before_and_signed(city: City) -> None:
    draft = roots.next_root(city.root, LATER_UNIX_S)
    with pytest.raises(RootError, match="--previous is root 2, and the draft is root 2"):
        roots.sign_root(draft, private(city, "a"), draft)
    with pytest.raises(RootError, match="--previous is not signed by enough of its own keys"):
        roots.sign_root(draft, private(city, "a"), Metadata(city.root))


def test_the_content_and_changes_of_a_draft_are_shown_whole(city: City) -> None:
    before = city.root
    draft = roots.next_root(
        before,
        LATER_UNIX_S,
        online={"timestamp": keys.make_online_key(city.home, "timestamp", following=True)},
        remove=["a"],
        add=[city.root_key("d"), city.root_key("e")],
        threshold=3,
    )
    lines = described(draft.signed, before)
    new, old = draft.signed.roles["timestamp"].keyids[0], before.roles["timestamp"].keyids[0]
    root_ids = {name: city.root_key(name).keyid for name in "abcde"}
    assert lines == [
        "root 2, valid until 2028-02-19 08:00 UTC",
        "  root: any 3 of",
        *(f"    {name} {root_ids[name]}" for name in "bcde"),
        "  targets:",
        f"    {before.roles['targets'].keyids[0]}",
        "  snapshot:",
        f"    {before.roles['snapshot'].keyids[0]}",
        "  timestamp:",
        f"    {new}",
        "changes against root 1:",
        f"  root: without a {root_ids['a']}",
        f"  root: with d {root_ids['d']}",
        f"  root: with e {root_ids['e']}",
        "  root: threshold 3, was 2",
        f"  timestamp: without {old}",
        f"  timestamp: with {new}",
    ]
    assert (
        described(roots.next_root(before, LATER_UNIX_S).signed, before)[-1] == "  none but the date"
    )


@pytest.mark.parametrize("called", ["nobody", "", "abc", "0" * 64])
def test_a_key_that_is_none_cannot_be_removed(city: City, called: str) -> None:
    with pytest.raises(RootError, match="is no root key of root 1: a, b, c"):
        roots.next_root(city.root, LATER_UNIX_S, remove=[called])


def test_a_key_is_removed_by_its_name_or_by_how_its_id_begins(city: City) -> None:
    by_name = roots.next_root(city.root, LATER_UNIX_S, remove=["b"])
    by_id = roots.next_root(city.root, LATER_UNIX_S, remove=[city.root_key("b").keyid[:10]])
    assert by_name.signed == by_id.signed
    assert city.root.roles["root"].keyids[1] == city.root_key("b").keyid, (
        "the root in force is as it was"
    )


def test_a_threshold_that_the_keys_left_cannot_reach_is_refused(city: City) -> None:
    with pytest.raises(RootError, match="a threshold of 2 with 1 keys cannot be for root"):
        roots.next_root(city.root, LATER_UNIX_S, remove=["a", "b"])


def test_a_key_cannot_be_added_twice(city: City) -> None:
    with pytest.raises(RootError, match="the key a is one of root 1's already"):
        roots.next_root(city.root, LATER_UNIX_S, add=[city.root_key("a")])


def test_a_discarded_draft_takes_its_keys_with_it(city: City) -> None:
    draft = city.signed(city.following("timestamp", "targets"), "ab")
    put(city.home.roots / "2.root.draft.json", roots.draft_bytes(draft))
    assert roots.pending_draft(city.home) == city.home.roots / "2.root.draft.json"
    assert roots.discard_draft(city.home).name == "2.root.draft.json"
    assert roots.pending_draft(city.home) is None
    assert keys.online_key(city.home, "timestamp", following=True) is None
    with pytest.raises(RootError, match="no draft waits here"):
        roots.discard_draft(city.home)
    with pytest.raises(RootError, match="nothing could be signed"):
        city.accept(draft)


def test_a_spoiled_root_in_the_home_is_one_line(city: City) -> None:
    path = city.home.roots / "1.root.json"
    root = Metadata[Root].from_bytes(path.read_bytes())
    root.signatures.clear()
    path.write_bytes(root.to_bytes())
    with pytest.raises(
        RootError, match=r"1\.root\.json: is not what was accepted; put it back from"
    ):
        roots.newest_root(city.home)

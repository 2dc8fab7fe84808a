"""Any bytes from a page give a verb, or one line that refuses them."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnike_demo.city.people import TRAY
from turnike_demo.turnstile import verbs

WHOLE = {
    b'{"verb":"tap","card":"matched"}': verbs.Tap("matched"),
    b'{"verb":"lay","card":"phone"}': verbs.Lay("phone"),
    b'{"verb":"take"}': verbs.Take(),
    b'{"verb":"clash"}': verbs.Clash(),
    b'{"verb":"pull_early"}': verbs.PullEarly(),
    b'{"verb":"network","up":false}': verbs.Network(up=False),
    b'{"verb":"suspend","card":"brief"}': verbs.Suspend("brief"),
    b'{"verb":"reinstate","card":"staff"}': verbs.Reinstate("staff"),
    b'{"verb":"plug","in":true}': verbs.Plug(is_in=True),
    b'{"verb":"reader","plugged":true}': verbs.Reader(plugged=True),
    b'{"verb":"cut_off","in_force":false}': verbs.CutOff(in_force=False),
    b'{"verb":"emergency","on":true}': verbs.Emergency(on=True),
    b'{"verb":"push"}': verbs.Push(),
}


@pytest.mark.parametrize(("content", "verb"), WHOLE.items())
def test_every_verb_is_read(content: bytes, verb: verbs.Verb) -> None:
    assert verbs.read(content) == verb


def test_every_verb_and_every_card_has_a_test() -> None:
    assert {type(verb) for verb in WHOLE.values()} == set(get_args(verbs.Verb))
    assert get_args(verbs.Card) == TRAY


@pytest.mark.parametrize(
    "content",
    [
        b'{"verb":"tap"}',
        b'{"verb":"tap","card":"04a1b2c3d4e5f6"}',
        b'{"verb":"tap","card":"matched","hold":1}',
        b'{"verb":"take","card":"matched"}',
        b'{"verb":"network","up":"false"}',
        b'{"verb":"plug","is_in":true}',
        b'{"card":"matched"}',
        b'{"verb":"quit"}',
        b'{"verb":"push"}' + b" " * verbs.VERB_BYTES_MAX,
        b"\xff",
    ],
)
def test_bytes_that_are_no_verb_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(verbs.VerbError, match=r"\A[^\n]+\Z"):
        verbs.read(content)


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_any_bytes_give_a_verb_or_one_line(content: bytes) -> None:
    problem = ""
    try:
        assert isinstance(verbs.read(content), get_args(verbs.Verb))
    except verbs.VerbError as error:
        problem = str(error)
    assert "\n" not in problem

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base.errors import BadRequest
from huitong.wire.accept import ANY, Accepted, first_of, parse_accept
from huitong.wire.media_type import MediaType, parse_list

OHIF_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
J2K = "1.2.840.10008.1.2.4.90"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (OHIF_FRAMES, [Accepted("application/octet-stream", True, "*")]),
        (
            'multipart/related; type="application/dicom"; transfer-syntax="*"',
            [Accepted("application/dicom", True, "*")],
        ),
        ("MULTIPART/Related;TYPE=Image/JP2", [Accepted("image/jp2", True)]),
        ("multipart/related", [Accepted(ANY, True)]),
        ("application/dicom", [Accepted("application/dicom", False)]),
        ("*/*", [Accepted(ANY, False, anything=True)]),
        (
            f'image/jpeg;q=0.5, multipart/related; type="image/jp2"; transfer-syntax={J2K}, image/png;q=0',
            [Accepted("image/jp2", True, J2K), Accepted("image/jpeg", False, None, 0.5)],
        ),
        ("image/webp,image/apng,*/*;q=0.8", None),
    ],
)
def test_accept_headers_are_understood(header: str, expected: list[Accepted] | None) -> None:
    accepted = parse_accept([header])
    if expected is not None:
        assert list(accepted) == expected
    else:
        assert [one.media_type for one in accepted] == ["image/webp", "image/apng", ANY]


def test_nothing_said_means_anything() -> None:
    for headers in ([], [""], ["  "]):
        assert parse_accept(headers) == (Accepted(ANY, False, anything=True),)


def test_the_query_parameter_comes_before_the_header() -> None:
    accepted = parse_accept(["image/png"], ["image/jpeg, image/gif;q=0.9"])
    assert [one.media_type for one in accepted] == ["image/jpeg", "image/gif"]


@pytest.mark.parametrize(
    "header", ["image", "image/jpeg image/png", "a/b;q=x", "a/b;q=2", "a/b;q=-1", "/", 'a/b;c=d"e']
)
def test_what_is_no_accept_header_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        parse_accept([header])


def test_the_clients_order_chooses_and_the_servers_breaks_wildcards() -> None:
    offers = ("image/jpeg", "image/png")
    assert first_of(parse_accept(["image/png, image/jpeg"]), offers) == "image/png"
    assert first_of(parse_accept(["image/png;q=0.1, image/jpeg;q=0.2"]), offers) == "image/jpeg"
    assert first_of(parse_accept(["image/*"]), offers) == "image/jpeg"
    assert first_of(parse_accept(["*/*"]), offers) == "image/jpeg"
    assert first_of(parse_accept(["image/gif"]), offers) is None
    assert first_of(parse_accept(["multipart/related; type=image/png"]), offers) is None


token = st.text("abcdefghijklmnopqrstuvwxyz0123456789.+-", min_size=1, max_size=10)
value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
types = st.builds(MediaType, token, token, st.dictionaries(token.filter(lambda name: name != "q"), value, max_size=4))


def rendered(media: MediaType) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return media.essence + "".join(f"; {name}={quoted(text)}" for name, text in media.parameters.items())


@given(st.lists(types, max_size=4), st.sampled_from([",", ", ", " ,, "]))
def test_a_list_that_is_written_is_read_back(media: list[MediaType], separator: str) -> None:
    assert parse_list(separator.join(map(rendered, media))) == media


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_refused(text: str) -> None:
    with contextlib.suppress(BadRequest):
        parse_accept([text])


@given(st.lists(st.tuples(token, st.integers(1, 1000)), min_size=1, max_size=6))
def test_higher_q_comes_first_and_equals_keep_their_order(items: list[tuple[str, int]]) -> None:
    header = ", ".join(f"a/{name};q={quality / 1000}" for name, quality in items)
    expected = sorted(items, key=lambda item: -item[1])
    assert [one.media_type for one in parse_accept([header])] == [f"a/{name}" for name, _ in expected]

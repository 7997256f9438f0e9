"""SMART Health Links, against the example of the specification and against JOSE of others."""

from __future__ import annotations

import os

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey

from huitong.base.errors import BadRequest
from huitong.wire.shl import (
    HealthLink,
    ManifestRequest,
    decoded,
    decrypt,
    encoded,
    encrypt,
    manifest,
    read_link,
    read_request,
    write_link,
)

KEY, IV = bytes(range(32)), bytes(range(12))
#: Of the specification, "Example SHLink Generation".
EXAMPLE = (
    "shlink:/eyJ1cmwiOiJodHRwczovL2Voci5leGFtcGxlLm9yZy9xci9ZOXh3a1VkdG1OOXd3b0pvTjNmZkpJaFgyVUd2Q0wxSm5sUFZOTDNrRFdNL20i"
    "LCJmbGFnIjoiTFAiLCJrZXkiOiJyeFRnWWxPYUtKUEZ0Y0VkMHFjY2VOOHdFVTRwOTRTcUF3SVdRZTZ1WDdRIiwibGFiZWwiOiJCYWNrLXRvLXNjaG9v"
    "bCBpbW11bml6YXRpb25zIGZvciBPbGl2ZXIgQnJvd24ifQ"
)


@pytest.mark.parametrize("viewer", ["", "https://viewer.example.org#"])
def test_the_example_of_the_specification_is_read_also_behind_a_viewers_address(viewer: str) -> None:
    found = read_link(viewer + EXAMPLE)
    assert found.url == "https://ehr.example.org/qr/Y9xwkUdtmN9wwoJoN3ffJIhX2UGvCL1JnlPVNL3kDWM/m"
    assert (found.flags, found.expires) == ("LP", None)
    assert found.label == "Back-to-school immunizations for Oliver Brown"
    assert encoded(found.key) == "rxTgYlOaKJPFtcEd0qcceN8wEU4p94SqAwIWQe6uX7Q"


def test_a_written_link_is_read_as_it_was() -> None:
    link = HealthLink("https://a.example/shl/" + "x" * 43, KEY, 1_800_000_000, "P", "胸部CT", "for our page")
    assert read_link(write_link(link)) == link
    assert read_link(write_link(HealthLink("https://a.example/1", KEY))) == HealthLink("https://a.example/1", KEY)


@pytest.mark.parametrize(
    "link",
    [
        HealthLink("https://a.example/" + "x" * 128, KEY),
        HealthLink("https://a.example/1", KEY[:16]),
        HealthLink("https://a.example/1", KEY, label="x" * 81),
    ],
)
def test_what_the_specification_does_not_allow_is_not_written(link: HealthLink) -> None:
    with pytest.raises(ValueError, match="specification"):
        write_link(link)


@pytest.mark.parametrize("text", ["", "https://a.example", "shlink:/e30", "shlink:/!!", "shlink:/bnVsbA", "shlink:/é"])
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_link(text)


def test_a_stranger_decrypts_what_we_encrypt() -> None:
    plain = orjson.dumps({"resourceType": "Bundle", "name": "王小东"})
    sealed = encrypt(plain, KEY, IV, "application/fhir+json")
    found = jwe.decrypt_compact(sealed, OctKey.import_key(KEY), ["dir", "A256GCM", "DEF"])
    assert found.plaintext == plain
    assert found.headers() == {"alg": "dir", "enc": "A256GCM", "zip": "DEF", "cty": "application/fhir+json"}


@pytest.mark.parametrize("packed", [{}, {"zip": "DEF"}])
def test_we_decrypt_what_a_stranger_encrypts(packed: dict[str, str]) -> None:
    header = {"alg": "dir", "enc": "A256GCM", "cty": "application/fhir+json", **packed}
    sealed = jwe.encrypt_compact(header, b"a file", OctKey.import_key(KEY), ["dir", "A256GCM", "DEF"])
    assert decrypt(sealed, KEY) == (b"a file", "application/fhir+json")


@given(st.binary(max_size=2000))
def test_every_file_comes_back(plain: bytes) -> None:
    assert decrypt(encrypt(plain, KEY, IV, "x/y"), KEY) == (plain, "x/y")


@pytest.mark.parametrize("part", range(5))
def test_one_altered_bit_anywhere_is_found(part: int) -> None:
    parts = encrypt(b"a file", KEY, IV, "x/y").split(".")
    changed = bytearray(decoded(parts[part]) or b"\0")
    changed[len(changed) // 2] ^= 1
    parts[part] = encoded(bytes(changed))
    with pytest.raises(ValueError):
        decrypt(".".join(parts), KEY)


def test_another_key_or_another_way_of_encrypting_is_refused() -> None:
    sealed = encrypt(b"a file", KEY, IV, "x/y")
    with pytest.raises(ValueError, match="another key"):
        decrypt(sealed, os.urandom(32))
    for header in ({"alg": "dir", "enc": "A128GCM"}, {"alg": "none", "enc": "A256GCM"}, [], 1):
        _, rest = sealed.split(".", 1)
        with pytest.raises(ValueError):
            decrypt(f"{encoded(orjson.dumps(header))}.{rest}", KEY)


def test_a_file_that_would_fill_the_memory_is_refused() -> None:
    bomb = encrypt(bytes(17 << 20), KEY, IV, "x/y")
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="too long"):
        decrypt(bomb, KEY)


def test_a_request_for_the_manifest() -> None:
    body = {"recipient": " 太原市  中心医院 ", "passcode": "123456", "embeddedLengthMax": 0}
    assert read_request(orjson.dumps(body)) == ManifestRequest("太原市 中心医院", "123456", 0)
    assert read_request(b'{"recipient": "x"}') == ManifestRequest("x", "", None)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"recipient": ""}', b'{"recipient": 1}', b'{"recipient": "x", "passcode": 1}',
        b'{"recipient": "x", "embeddedLengthMax": -1}', b'{"recipient": "x", "embeddedLengthMax": true}',
        b'{"recipient": "x", "embeddedLengthMax": "1"}', b"\xff",
    ],
)  # fmt: skip
def test_a_request_that_says_too_little_or_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_request(body)


def test_a_manifest_has_its_file_within_or_elsewhere() -> None:
    assert manifest("x/y", embedded="e..") == {"files": [{"contentType": "x/y", "embedded": "e.."}]}
    assert manifest("x/y", location="https://a") == {"files": [{"contentType": "x/y", "location": "https://a"}]}

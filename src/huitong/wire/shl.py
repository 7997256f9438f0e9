"""SMART Health Links (HL7 SMART Health Cards and Links 1.0.0, "SMART Health Links"): link, manifest, encrypted file.

Pure: keys, initialization vectors and times come in. A file is a JWE in compact form with direct encryption and A256GCM
(RFC 7516, RFC 7518 4.5 and 5.3), as the specification demands; nothing else is read or written.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from huitong.base.errors import BadRequest

SCHEME = "shlink:/"
#: The flag of a link that asks for a passcode.
PASSCODE = "P"
#: Characters, by the specification.
MOST_URL, MOST_LABEL = 128, 80
KEY_BYTES, IV_BYTES, _TAG_BYTES = 32, 12, 16
_MOST_INFLATED = 16 << 20
_HEADER = {"alg": "dir", "enc": "A256GCM"}
_COMPACT = re.compile(r"([\w-]+)\.\.([\w-]+)\.([\w-]*)\.([\w-]+)", re.ASCII)
_MOST_TEXT = 200
_PAGE = "_p"


@dataclass(frozen=True, slots=True)
class HealthLink:
    """What a link says."""

    #: Of the manifest.
    url: str
    key: bytes
    #: Seconds since 1970 UTC.
    expires: int | None = None
    #: Of L, P and U.
    flags: str = ""
    label: str = ""
    #: What our own page shows beside the address: an extension, whose names begin with "_" ("Extensions").
    page: str = ""


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """What a client sends to get the manifest."""

    recipient: str
    passcode: str
    #: Bytes up to which a file may stand in the manifest itself; None where the client does not mind.
    embedded_most: int | None


def write_link(link: HealthLink) -> str:
    """`shlink:/…`. Raises ValueError for what the specification does not allow."""
    if len(link.key) != KEY_BYTES or len(link.url) > MOST_URL or len(link.label) > MOST_LABEL:
        raise ValueError("key, url or label is not as the specification has it")
    said: dict[str, Any] = {"url": link.url, "key": encoded(link.key)}
    if link.expires is not None:
        said["exp"] = link.expires
    if link.flags:
        said["flag"] = "".join(sorted(link.flags))
    if link.label:
        said["label"] = link.label
    if link.page:
        said[_PAGE] = link.page
    return SCHEME + encoded(orjson.dumps({**said, "v": 1}))


def read_link(text: str) -> HealthLink:
    """Of `shlink:/…`, also behind the address of a viewer (`https://viewer#shlink:/…`). Raises ValueError."""
    _, found, payload = text.partition(SCHEME)
    if not found:
        raise ValueError("no SMART Health Link")
    said = _object(payload)
    url, key, flags, label, page = (said.get(name, "") for name in ("url", "key", "flag", "label", _PAGE))
    if not all(isinstance(each, str) for each in (url, key, flags, label, page)) or not url or said.get("v", 1) != 1:
        raise ValueError("a link of another kind")
    if len(secret := decoded(key)) != KEY_BYTES:
        raise ValueError("no key of 256 bits")
    expires = said.get("exp")
    return HealthLink(url, secret, int(expires) if isinstance(expires, int | float) else None, flags, label, page)


def read_request(body: bytes) -> ManifestRequest:
    """Raises BadRequest."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(said, Mapping) or not isinstance(said.get("recipient"), str) or not said["recipient"].strip():
        raise BadRequest("say who asks in `recipient`")
    passcode, most = said.get("passcode", ""), said.get("embeddedLengthMax")
    if not isinstance(passcode, str) or not (most is None or (type(most) is int and most >= 0)):
        raise BadRequest("`passcode` is a text, `embeddedLengthMax` a whole number")
    return ManifestRequest(" ".join(said["recipient"].split())[:_MOST_TEXT], passcode[:_MOST_TEXT], most)


def manifest(content_type: str, *, embedded: str = "", location: str = "") -> dict[str, Any]:
    """Of one file, in the manifest itself or at an address."""
    where = {"embedded": embedded} if embedded else {"location": location}
    return {"files": [{"contentType": content_type, **where}]}


def encrypt(plain: bytes, key: bytes, iv: bytes, content_type: str) -> str:
    """The file as a JWE; `iv` must never have been used with this key."""
    header = encoded(orjson.dumps({**_HEADER, "zip": "DEF", "cty": content_type}))
    deflate = zlib.compressobj(wbits=-15)
    sealed = AESGCM(key).encrypt(iv, deflate.compress(plain) + deflate.flush(), header.encode())
    parts = (header, "", encoded(iv), encoded(sealed[:-_TAG_BYTES]), encoded(sealed[-_TAG_BYTES:]))
    return ".".join(parts)


def decrypt(text: str, key: bytes) -> tuple[bytes, str]:
    """The file and its content type. Raises ValueError for what was altered or is of another kind."""
    found = _COMPACT.fullmatch(text)
    if found is None:
        raise ValueError("no JWE with a direct key")
    header, iv, sealed, tag = found.groups()
    said = _object(header)
    if {name: said.get(name) for name in _HEADER} != _HEADER:
        raise ValueError("another way of encrypting")
    try:
        plain = AESGCM(key).decrypt(decoded(iv), decoded(sealed) + decoded(tag), header.encode())
    except InvalidTag:
        raise ValueError("altered, or another key") from None
    return (_inflated(plain) if said.get("zip") == "DEF" else plain), str(said.get("cty", ""))


def _object(text: str) -> dict[str, Any]:
    """The JSON object in base64url. Raises ValueError."""
    said = orjson.loads(decoded(text))
    if isinstance(said, dict):
        return said
    raise ValueError("no JSON object")


def _inflated(packed: bytes) -> bytes:
    inflate = zlib.decompressobj(wbits=-15)
    try:
        plain = inflate.decompress(packed, _MOST_INFLATED)
    except zlib.error as error:
        raise ValueError("not deflated") from error
    if not inflate.eof:
        raise ValueError("too long, or cut")
    return plain


def encoded(data: bytes) -> str:
    """Base64 as URLs have it, without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error

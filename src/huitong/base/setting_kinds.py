"""How the text of a setting becomes a value, and the value text again. Knows no setting by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Network = IPv4Network | IPv6Network


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Whether the address is in one of the networks; what is no address is in none."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port to listen on; port 0 lets the system choose a free one."""

    #: Empty when only a port was given.
    host: str
    port: int

    def __str__(self) -> str:
        if not self.host:
            return str(self.port)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to write a value; `parse` raises ValueError with what was expected."""

    name: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


_SIZES = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_YES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
# AE value representation, PS3.5 table 6.2-1: up to 16 characters, no backslash, no control characters.
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")


def _address(text: str) -> Address:
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("expected a port or host:port, such as 127.0.0.1:8080")
    return Address(host, int(port))


def _optional_address(text: str) -> Address | None:
    return _address(text) if text.strip() else None


def _host_and_port(text: str) -> Address:
    address = _address(text)
    if not address.host:
        raise ValueError("expected host:port, such as 127.0.0.1:8080")
    return address


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+) ?([A-Za-z]*)", text.strip(), re.ASCII)
    if match is None or match[2].upper() not in _SIZES:
        raise ValueError("expected a number of bytes, such as 8388608 or 8 MiB")
    return int(match[1]) * _SIZES[match[2].upper()]


def _show_size(size_bytes: int) -> str:
    """The largest binary unit that divides the size evenly, so that parsing gives it back exactly."""
    for name, unit in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit} {name}"
    return str(size_bytes)


def _yes_no(text: str) -> bool:
    try:
        return _YES[text.strip().lower()]
    except KeyError:
        raise ValueError("expected yes or no") from None


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("expected a whole number") from None


def _show_number(number: float) -> str:
    """As short as can be, but so that it is read back as the same."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError("expected a number that is not negative")
    return number


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"expected networks such as 127.0.0.0/8, ::1/128: {error}") from None


def _ae_title(text: str) -> str:
    title = text.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise ValueError("expected an AE title: 1 to 16 printable ASCII characters, no backslash")
    return title


def _path(text: str) -> Path:
    if not text:
        raise ValueError("expected a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("there is nobody of this name whose folder `~` could mean") from None


def _optional_path(text: str) -> Path | None:
    return _path(text) if text else None


def _database_url(text: str) -> str:
    text = text.strip()
    if text and (not text.startswith(("postgresql://", "postgres://")) or not urlsplit(text).path.strip("/")):
        raise ValueError("expected postgresql://user:password@host:port/database, or nothing for SQLite")
    return text.replace("postgres://", "postgresql://", 1)


def _show_url(url: str) -> str:
    """Without its password."""
    return re.sub(r"(://[^/:@]*):[^@/]*@", r"\1:********@", url)


_S3_OPTIONS = {"endpoint", "region", "virtual_hosted"}


def _s3_url(text: str) -> str:
    text = text.strip()
    if text:
        url = urlsplit(text)
        if url.scheme != "s3" or not url.netloc or "@" in url.netloc or not set(parse_qs(url.query)) <= _S3_OPTIONS:
            raise ValueError("expected s3://bucket/prefix?endpoint=https://host&region=name, or nothing for files")
    return text


def _uri(text: str) -> str:
    uri = text.strip().rstrip("/:")
    if not re.fullmatch(r"(https?://[^\s/?#|]+(/[^\s?#|]*)?|urn:[A-Za-z0-9][^\s|]+)", uri):
        raise ValueError("expected a URI such as https://exchange.example/id or urn:example")
    return uri


def _log_name(text: str) -> str:
    """Origins of checkpoints and names of keys (C2SP tlog-checkpoint, signed-note)."""
    name = text.strip()
    if not name or "+" in name or not name.isprintable() or any(each.isspace() for each in name):
        raise ValueError("expected a name such as exchange.example/audit, without spaces and plus signs")
    return name


def _origin(text: str) -> str:
    origin = text.strip().rstrip("/")
    if origin and not re.fullmatch(r"https?://[^\s/?#@|]+", origin):
        raise ValueError("expected https://host or https://host:port, without a path")
    return origin


def _issuer(text: str) -> str:
    """As it stands: issuers are compared letter by letter (OpenID Connect Discovery 1.0, 4.3)."""
    issuer = text.strip()
    own = r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
    if issuer and not re.fullmatch(rf"(https://[^\s/?#@|]+|{own})(/[^\s?#|]*)?", issuer):
        raise ValueError("expected https://host or https://host/path, as the provider's discovery document has it")
    return issuer


def one_of(*names: str) -> Kind:
    """A choice among `names`, upper or lower case."""

    def parse(text: str) -> str:
        if text.strip().lower() not in names:
            raise ValueError(f"expected {' or '.join(names)}")
        return text.strip().lower()

    return Kind(" or ".join(names), parse)


PATH = Kind("path", _path)
OPTIONAL_PATH = Kind("path, or empty", _optional_path, lambda path: "" if path is None else str(path))
HOST_AND_PORT = Kind("host:port", _host_and_port)
PORT = Kind("port or host:port", _address)
OPTIONAL_PORT = Kind(
    "port or host:port, or empty", _optional_address, lambda address: "" if address is None else str(address)
)
SIZE = Kind("size", _size, _show_size)
YES_NO = Kind("yes or no", _yes_no, lambda yes: "yes" if yes else "no")
COUNT = Kind("whole number", _count)
NUMBER = Kind("number", _number, _show_number)
NETWORKS = Kind("networks", _networks, lambda networks: ", ".join(str(network) for network in networks))
AE_TITLE = Kind("AE title", _ae_title)
TEXT = Kind("text", str.strip)
URI = Kind("URI", _uri)
LOG_NAME = Kind("name", _log_name)
ISSUER = Kind("https URL, or empty", _issuer)
ORIGIN = Kind("https://host, or empty", _origin)
DATABASE_URL = Kind("postgresql URL, or empty", _database_url, _show_url)
S3_URL = Kind("s3 URL, or empty", _s3_url)

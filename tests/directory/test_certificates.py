"""Who may call with which certificate."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from huitong.base.errors import SettingsError
from huitong.base.tls import NO_CERTIFICATE, Certificate, certificate_name
from huitong.directory.actions import Directory, read_directory
from huitong.directory.model import Caller, Institution

A, B = "a" * 64, "b" * 64
HERE = (ip_network("10.1.0.0/16"),)


def _institution(code: str) -> Institution:
    return Institution(code, code, code, frozenset(), (), frozenset())


@pytest.fixture
def directory() -> Directory:
    callers = [
        Caller("ONE", HERE, frozenset(["BOUND"]), certificate_sha256=frozenset([A])),
        Caller("ONE", HERE, frozenset(["PLAIN"])),
        Caller("ONE", HERE, hl7_application="HIS", hl7_facility="ONE", certificate_sha256=frozenset([A])),
        Caller("TWO", (), frozenset(["ROAMING"]), frozenset(["f" * 64]), certificate_sha256=frozenset([B])),
    ]
    return Directory([_institution("ONE"), _institution("TWO")], callers)


@pytest.mark.parametrize(
    ("ae", "host", "certificate", "code"),
    [
        ("BOUND", "10.1.0.1", A, "ONE"),
        ("BOUND", "10.1.0.1", "", None),
        ("BOUND", "10.1.0.1", B, None),
        ("BOUND", "10.1.0.1", "c" * 64, None),
        ("BOUND", "10.2.0.1", A, None),  # it may call with it, but not from there
        ("PLAIN", "10.1.0.1", "", "ONE"),
        ("PLAIN", "10.1.0.1", A, "ONE"),
        ("PLAIN", "10.1.0.1", "c" * 64, "ONE"),  # of the authority, and nobody's by name
        ("PLAIN", "10.1.0.1", B, None),  # another's
        ("ROAMING", "203.0.113.7", B, "TWO"),
        ("ROAMING", "203.0.113.7", "", None),
        ("ROAMING", "203.0.113.7", A, None),
    ],
)
def test_ae_title_address_and_certificate_agree(
    directory: Directory, ae: str, host: str, certificate: str, code: str | None
) -> None:
    found = directory.by_ae(ae, host, Certificate(certificate))
    assert (found.code if found else None) == code


@pytest.mark.parametrize(("certificate", "known"), [(A, True), (B, False), ("", False)])
def test_messages_are_of_whom_the_certificate_is(directory: Directory, certificate: str, *, known: bool) -> None:
    assert (directory.by_hl7("HIS", "ONE", "10.1.0.1", Certificate(certificate)) is not None) is known


def test_a_certificate_does_not_make_a_token_good_from_everywhere(directory: Directory) -> None:
    callers = [Caller("TWO", (), token_sha256=frozenset([_digest("secret")]), certificate_sha256=frozenset([B]))]
    directory.become([_institution("TWO")], callers)
    assert directory.by_token("secret", "203.0.113.7") is None


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def test_an_address_is_listened_to_that_is_known_or_shows_what_is(directory: Directory) -> None:
    shown = [directory.knows("203.0.113.7", each) for each in (NO_CERTIFICATE, Certificate(B))]
    assert [directory.knows("10.1.0.1"), *shown] == [True, False, True]


def test_the_operators_file_lists_certificates_too(tmp_path: Path) -> None:
    file = tmp_path / "institutions.toml"
    shown = ":".join(["AB"] * 32)
    text = '[[institution]]\ncode = "A"\nae_titles = ["CT1"]\ncertificate_sha256 = ["{}"]\n'
    file.write_text(text.format(shown))
    directory = read_directory(file, demo=False)
    assert directory.by_ae("CT1", "203.0.113.7", Certificate("ab" * 32)) is not None
    assert directory.by_ae("CT1", "203.0.113.7") is None
    file.write_text(text.format("secret"))
    with pytest.raises(SettingsError, match="certificate_sha256"):
        read_directory(file, demo=False)


def _named(*names: str) -> Certificate:
    return Certificate("d" * 64, frozenset(names))


def test_a_certificate_is_known_by_a_name_whatever_its_fingerprint() -> None:
    callers = [
        Caller("ONE", HERE, frozenset(["BOUND"]), certificate_names=frozenset(["DNS:pacs.one.example"])),
        Caller("TWO", (), frozenset(["ROAMING"]), certificate_names=frozenset(["CN=pacs,O=Two,C=CN"])),
        Caller("ONE", HERE, frozenset(["PLAIN"])),
    ]
    directory = Directory([_institution("ONE"), _institution("TWO")], callers)
    one, two = _named("CN=x", "DNS:pacs.one.example"), _named("CN=pacs,O=Two,C=CN")
    asked = [("BOUND", one), ("BOUND", two), ("ROAMING", two), ("ROAMING", one), ("PLAIN", one), ("PLAIN", two)]
    found = [directory.by_ae(ae, "10.1.0.1", shown) for ae, shown in asked]
    assert [each.code if each else None for each in found] == ["ONE", None, "TWO", None, "ONE", None]
    assert directory.by_ae("BOUND", "10.1.0.1") is None
    assert directory.by_ae("BOUND", "10.2.0.1", one) is None
    assert directory.knows("203.0.113.7", two)
    assert not directory.knows("203.0.113.7", _named("CN=pacs,O=Two"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("pacs.one.example", "DNS:pacs.one.example"),
        (" DNS:PACS.One.example ", "DNS:pacs.one.example"),
        ("CN=pacs,O=Two,C=CN", "CN=pacs,O=Two,C=CN"),
        ("CN=pacs, O=太原市中心医院, C=CN", "CN=pacs,O=太原市中心医院,C=CN"),
        (r"CN=a\,b,C=CN", r"CN=a\,b,C=CN"),
    ],
)
def test_names_are_written_in_one_way(text: str, written: str) -> None:
    assert certificate_name(text) == written


@pytest.mark.parametrize("text", ["", "DNS:", "two words", "=", "CN", "*.example", "XX=1"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        certificate_name(text)


def test_the_operators_file_lists_names_too(tmp_path: Path) -> None:
    file = tmp_path / "institutions.toml"
    text = '[[institution]]\ncode = "A"\nae_titles = ["CT1"]\ncertificate_names = ["{}"]\n'
    file.write_text(text.format("pacs.a.example"))
    directory = read_directory(file, demo=False)
    assert directory.by_ae("CT1", "203.0.113.7", _named("DNS:pacs.a.example")) is not None
    assert directory.by_ae("CT1", "203.0.113.7", _named("DNS:pacs.b.example")) is None
    file.write_text(text.format("two words"))
    with pytest.raises(SettingsError):
        read_directory(file, demo=False)

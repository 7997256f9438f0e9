"""Where the card keys come from, what is refused, and that nothing tells them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from huitong.base.errors import SettingsError
from huitong.base.settings import Settings, load
from huitong.people.cards.keys import SAMPLE, Keys, read_keys

ONE, OTHER, THIRD, FOURTH = (bytes([number]) * 16 for number in (17, 34, 51, 68))


def key_file(folder: Path, *pairs: tuple[int, bytes, bytes], current: int = 1, mode: int = 0o640) -> Path:
    lines = [f"current = {current}"]
    for version, root, protection in pairs:
        lines += ["[[key]]", f"version = {version}", f'root = "{root.hex()}"', f'protection = "{protection.hex()}"']
    file = folder / "card-keys.toml"
    file.write_text("\n".join(lines), "utf-8")
    file.chmod(mode)
    return file


def test_without_a_file_there_are_no_cards() -> None:
    assert read_keys(Settings()) is None


def test_in_demo_mode_there_is_the_sample_key() -> None:
    keys = read_keys(Settings(demo=True))
    assert keys is not None
    assert keys.current.root == SAMPLE == bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


def test_all_versions_are_read_and_one_is_current(tmp_path: Path) -> None:
    keys = read_keys(Settings(card_keys=key_file(tmp_path, (1, ONE, OTHER), (2, THIRD, FOURTH), current=2)))
    assert keys is not None
    assert (keys.current.version, keys.current.root, keys.current.protection) == (2, THIRD, FOURTH)
    assert keys.versions[1].root == ONE
    assert list(keys.protections()) == [FOURTH, OTHER]


def test_the_sample_key_is_refused_outside_demo_mode(tmp_path: Path) -> None:
    for pair in ((1, SAMPLE, OTHER), (1, ONE, SAMPLE)):
        file = key_file(tmp_path, pair)
        with pytest.raises(SettingsError, match="sample key, which everybody knows"):
            read_keys(Settings(card_keys=file))
        assert read_keys(Settings(card_keys=file, demo=True)) is not None


def row(version: str = "1", root: str = "AB" * 16, protection: str = "AB" * 16) -> str:
    return f'[[key]]\nversion = {version}\nroot = "{root}"\nprotection = "{protection}"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected `current`"),
        ("current = 1", "expected `current`"),
        ("current = 1\nkey = 1", "expected `current`"),
        ("current = 1\nother = 1\n" + row(), "expected `current`"),
        ("current = ", "is not TOML"),
        ('current = 1\n[[key]]\nversion = 1\nroot = "ABAB"', "expected version"),
        ("current = 1\n" + row(version="true"), "expected version"),
        ("current = 1\n" + row(protection="AB" * 24), "protection must be the key, 32"),
        ("current = 2\n" + row(), "must name one of"),
        ("current = 1\n" + row() * 2, "twice"),
    ],
)
def test_a_file_that_is_not_usable_is_refused_and_not_quoted(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "card-keys.toml"
    file.write_text(text, "utf-8")
    file.chmod(0o600)
    with pytest.raises(SettingsError, match=said) as refused:
        read_keys(Settings(card_keys=file))
    assert "ABAB" not in str(refused.value)


def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chmod o="):
        read_keys(Settings(card_keys=key_file(tmp_path, (1, ONE, OTHER), mode=0o644)))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_keys(Settings(card_keys=tmp_path / "none.toml"))


def test_a_module_without_anything_to_unwrap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`card_keys` holds, and that is empty"):
        read_keys(Settings(card_hsm=tmp_path / "module.so", demo=True))


def test_nothing_shows_keys_or_pin(tmp_path: Path) -> None:
    keys = read_keys(Settings(card_keys=key_file(tmp_path, (1, ONE, OTHER))))
    assert isinstance(keys, Keys)
    for shown in (repr(keys), str(keys), f"{keys.current}"):
        assert repr(ONE) not in shown
        assert ONE.hex() not in shown
    loaded = load({"card_hsm_pin": "4711"}, {})
    assert all("4711" not in value for _, value, _ in loaded.lines())


# --- a real PKCS#11 module: SoftHSM, where it is installed ---

MODULE = next(
    (p for p in map(Path, ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so")) if p.is_file()), None
)
PIN = "4711"


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, bytes]]:
    """Settings of a token that keeps an AES key, and that key's value, which the token was given to be compared."""
    pkcs11 = pytest.importorskip("pkcs11", reason="the extra `hsm` is not installed")
    if MODULE is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "conf").write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", "card", "--pin", PIN, "--so-pin", "1174"]
    subprocess.run(command, check=True, capture_output=True)
    value = secrets.token_bytes(32)
    with pkcs11.lib(str(MODULE)).get_token(token_label="card").open(user_pin=PIN, rw=True) as session:
        template = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES,
            pkcs11.Attribute.LABEL: "huitong-card",
            pkcs11.Attribute.VALUE: value,
            pkcs11.Attribute.TOKEN: True,
            pkcs11.Attribute.WRAP: True,
            pkcs11.Attribute.UNWRAP: True,
            pkcs11.Attribute.SENSITIVE: True,
            pkcs11.Attribute.EXTRACTABLE: False,
        }
        session.create_object(template)
    yield Settings(card_hsm=MODULE, card_hsm_token="card", card_hsm_pin=PIN), value
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


def _with(settings: Settings, **more: object) -> Settings:
    from dataclasses import replace

    return replace(settings, **more)  # type: ignore[arg-type]


def test_a_module_wraps_as_rfc_3394_says_and_unwraps_what_it_wrapped(
    hsm: tuple[Settings, bytes], tmp_path: Path
) -> None:
    from huitong.people.cards.hsm import wrap

    settings, value = hsm
    root, protection = wrap(settings, ONE), wrap(settings, OTHER)
    assert root == aes_key_wrap(value, ONE)
    keys = read_keys(_with(settings, card_keys=key_file(tmp_path, (1, root, protection), mode=0o644)))
    assert keys is not None
    assert (keys.current.root, keys.current.protection) == (ONE, OTHER)


def test_with_a_module_no_key_may_lie_open(hsm: tuple[Settings, bytes], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="huitong card wrap"):
        read_keys(_with(hsm[0], card_keys=key_file(tmp_path, (1, ONE, OTHER))))


def test_what_another_key_wrapped_is_refused(hsm: tuple[Settings, bytes], tmp_path: Path) -> None:
    wrapped = aes_key_wrap(bytes(32), ONE)
    with pytest.raises(SettingsError, match="`card_hsm`"):
        read_keys(_with(hsm[0], card_keys=key_file(tmp_path, (1, wrapped, wrapped))))


def test_the_sample_key_is_refused_from_a_module_too(hsm: tuple[Settings, bytes], tmp_path: Path) -> None:
    wrapped = aes_key_wrap(hsm[1], SAMPLE)
    with pytest.raises(SettingsError, match="sample key"):
        read_keys(_with(hsm[0], card_keys=key_file(tmp_path, (1, wrapped, wrapped))))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"card_hsm_pin": "0000"}, "PinIncorrect"),
        ({"card_hsm_token": "none"}, "NoSuchToken"),
        ({"card_hsm_key": "none"}, "NoSuchKey"),
    ],
)
def test_what_a_module_refuses_is_named(
    hsm: tuple[Settings, bytes], tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    wrapped = aes_key_wrap(hsm[1], ONE)
    with pytest.raises(SettingsError, match=said) as refused:
        read_keys(_with(hsm[0], card_keys=key_file(tmp_path, (1, wrapped, wrapped)), **wrong))
    assert wrong.get("card_hsm_pin", "no pin") not in str(refused.value)


def test_softhsm_has_no_sm4(hsm: tuple[Settings, bytes]) -> None:
    """Why the keys are unwrapped instead of used within: when this fails, decision 0011 can be taken anew."""
    import pkcs11

    mechanisms = pkcs11.lib(str(MODULE)).get_token(token_label="card").slot.get_mechanisms()
    assert pkcs11.Mechanism.AES_KEY_WRAP in mechanisms
    assert not any("SM4" in getattr(each, "name", "") or int(each) >= 0x80000000 for each in mechanisms)


def test_a_module_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11", reason="the extra `hsm` is not installed")
    none = tmp_path / "none.so"
    with pytest.raises(SettingsError, match="`card_hsm`"):
        read_keys(Settings(card_hsm=none, card_keys=key_file(tmp_path, (1, bytes(24), bytes(24)))))

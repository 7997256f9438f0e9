from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base import setting_kinds as kinds
from huitong.base.errors import SettingsError
from huitong.base.settings import DEFAULTS, ROWS, Address, Row, Settings, load, shown


@pytest.fixture(autouse=True)
def _no_settings_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "huitong.toml").write_text('http = "127.0.0.1:1"\nae_title = "FILE"\nsettle_s = 5\n')
    environ = {"HUITONG_HTTP": "127.0.0.1:2", "HUITONG_AE_TITLE": "ENV", "HOME": "/"}
    loaded = load({"http": "127.0.0.1:3", "data": None}, environ)
    assert loaded.settings.http == Address("127.0.0.1", 3)
    assert loaded.settings.ae_title == "ENV"
    assert loaded.settings.settle_s == 5.0
    assert loaded.settings.data == Path("huitong-data")
    assert {name: loaded.sources[name] for name in ("http", "ae_title", "settle_s", "data")} == {
        "http": "flag",
        "ae_title": "environment",
        "settle_s": "huitong.toml",
        "data": "default",
    }


def test_the_file_may_be_named_by_argument_or_by_variable(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('ae_title = "A"\n')
    (tmp_path / "b.toml").write_text('ae_title = "B"\nreaders = ["10.0.0.0/8", "::1"]\ndemo = true\n')
    environ = {"HUITONG_SETTINGS": str(tmp_path / "b.toml")}
    assert load({}, environ, tmp_path / "a.toml").settings.ae_title == "A"
    from_b = load({}, environ).settings
    assert from_b.ae_title == "B"
    assert [str(network) for network in from_b.readers] == ["10.0.0.0/8", "::1/128"]
    assert from_b.demo is True


def test_a_named_file_that_is_absent_is_an_error_and_an_unnamed_one_is_not(tmp_path: Path) -> None:
    assert load({}, {}).settings == Settings()
    with pytest.raises(SettingsError, match=r"nothing\.toml"):
        load({}, {}, tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("data = ", "Invalid value"), ("setle_s = 3", "`settle_s`"), ("[imaging]\nx = 1", "`imaging`"), ("\xff", "utf-8")],
)
def test_a_broken_file_is_refused_with_its_name(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "huitong.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=complaint) as caught:
        load({}, {})
    assert "huitong.toml" in str(caught.value)


def test_an_unknown_name_in_the_environment_is_refused_naming_near_ones() -> None:
    with pytest.raises(SettingsError, match="`max_pdu`, which is no setting; did you mean `max_pdu_bytes`"):
        load({}, {"HUITONG_MAX_PDU": "1"})


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("http", "8080", "host:port"),
        ("http", "127.0.0.1:65536", "host:port"),
        ("dimse", "here", "port"),
        ("dimse", "127.0.0.1:-1", "port"),
        ("demo", "maybe", "yes or no"),
        ("ae_title", "SEVENTEEN_LETTERS", "16"),
        ("ae_title", "BACK\\SLASH", "16"),
        ("ae_title", "  ", "16"),
        ("readers", "10.0.0.1/8", "networks"),
        ("settle_s", "-1", "not negative"),
        ("settle_s", "nan", "not negative"),
        ("settle_s", "soon", "number"),
        ("max_instance_bytes", "8 GB", "bytes"),
        ("max_associations", "0", "less than 1"),
        ("max_associations", "many", "whole number"),
        ("log_format", "xml", "text or json"),
        ("data", "", "path"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_saying_what_was_expected(name: str, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        load({name: text}, {})
    assert f"`{name}` from flag" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("11112", "127.0.0.9:11112"), ("0.0.0.0:104", "0.0.0.0:104"), ("[::1]:104", "[::1]:104")],
)
def test_a_bare_dimse_port_listens_on_the_host_of_http(text: str, expected: str) -> None:
    assert str(load({"http": "127.0.0.9:80", "dimse": text}, {}).settings.dimse) == expected


def test_a_page_longer_than_the_longest_page_is_refused() -> None:
    with pytest.raises(SettingsError, match="page_rows_limit"):
        load({"page_rows": "500", "page_rows_limit": "100"}, {})


@pytest.mark.parametrize("name", ROWS)
def test_every_default_is_what_its_own_text_says(name: str) -> None:
    row, default = ROWS[name], DEFAULTS[name]
    assert row.kind.parse(row.kind.show(default)) == default
    assert row.sentence.endswith(".")
    assert name.isidentifier()
    assert name.islower()


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].unit in ("s", "ms", "bytes")])
def test_a_number_with_a_unit_has_it_in_its_name(name: str) -> None:
    assert name.endswith("_" + ROWS[name].unit)


def test_every_setting_has_a_type_its_kind_can_make() -> None:
    hints = get_type_hints(Settings)
    assert set(hints) == set(ROWS)
    settings = Settings()
    for name, hint in hints.items():
        if isinstance(hint, type):
            assert isinstance(getattr(settings, name), hint)


def test_a_secret_is_shown_as_stars_and_not_quoted_in_errors() -> None:
    row = Row(kinds.PATH, "", "A secret.", secret=True)
    assert shown(row, "hunter2") == "********"
    assert shown(Row(kinds.PATH, "", "No secret."), "hunter2") == "hunter2"


@given(st.integers(min_value=0, max_value=1 << 50))
def test_sizes_are_read_back_as_shown(size_bytes: int) -> None:
    assert kinds.SIZE.parse(kinds.SIZE.show(size_bytes)) == size_bytes
    assert kinds.SIZE.parse(str(size_bytes)) == size_bytes


@pytest.mark.parametrize(("text", "shown"), [("5.0", "5"), ("0.25", "0.25"), ("1000001", "1000001.0")])
def test_numbers_are_shown_short_and_whole(text: str, shown: str) -> None:
    assert kinds.NUMBER.show(kinds.NUMBER.parse(text)) == shown


def test_the_folder_of_nobody_is_refused_in_the_settings_own_words() -> None:
    with pytest.raises(SettingsError, match="data"):
        load({"data": "~nobody-of-this-name/data"}, {})


@given(st.text(max_size=30), st.sampled_from([row.kind for row in ROWS.values()]))
def test_any_text_gives_a_value_or_a_value_error(text: str, kind: kinds.Kind) -> None:
    try:
        value: Any = kind.parse(text)
    except ValueError:
        return
    assert kind.parse(kind.show(value)) == value


def test_messages_are_taken_nowhere_unless_a_port_is_given() -> None:
    assert Settings().mllp is None
    assert load({"mllp": "2575", "http": "10.0.0.1:80"}, {}).settings.mllp == Address("10.0.0.1", 2575)
    assert load({"mllp": "0.0.0.0:2575"}, {}).settings.mllp == Address("0.0.0.0", 2575)
    assert load({"mllp": ""}, {}).settings.mllp is None


@pytest.mark.parametrize("name", ["mllp_key", "mllp_clients"])
def test_what_belongs_to_a_certificate_is_refused_without_one(name: str) -> None:
    with pytest.raises(SettingsError, match="mllp_certificate"):
        load({name: "x.pem"}, {})
    assert load({name: "x.pem", "mllp_certificate": "y.pem"}, {}).settings.mllp_certificate == Path("y.pem")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"http_key": "x.pem"}, "http_certificate"),
        ({"dimse_key": "x.pem"}, "dimse_certificate"),
        ({"dimse_tls": "2762"}, "dimse_certificate"),
        ({"dimse_certificate": "x.pem"}, "dimse_tls"),
        ({"public_url": "https://host/path"}, "public_url"),
        ({"public_url": "host"}, "public_url"),
    ],
)
def test_settings_of_tls_go_together(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load(given, {})
    good = load({"dimse_tls": "2762", "dimse_certificate": "x.pem", "http": "10.0.0.1:80"}, {}).settings
    assert good.dimse_tls == Address("10.0.0.1", 2762)

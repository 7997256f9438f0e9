"""Whose account somebody is whom a provider names: bound, made, followed; and what is remembered in the browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.archives import PASSWORD, TestArchive, archive_in, signed_in
from tests.openid.provider import SECRET

from huitong.access import auditing
from huitong.access.accounts.model import Account, Stage
from huitong.access.model import Role
from huitong.access.openid.begun import Begun
from huitong.access.openid.joining import account_of
from huitong.access.openid.mapping import Table, read_mapping
from huitong.access.openid.model import Provided, Reason, SignInFailed
from huitong.base.clock import now
from huitong.base.errors import BadRequest, NotFound, NotSignedIn, SettingsError
from huitong.base.settings import Settings
from huitong.store.tables import LEDGER

ISSUER = "https://id.example"
OPENID = {
    "oidc_issuer": ISSUER, "oidc_client_id": "huitong", "oidc_client_secret": SECRET, "public_url": "https://x.example",
}  # fmt: skip
MAPPING = """
[bind]
claim = "user"
[create]
name = "user"
institution = "org"
roles = "realm_access.roles"
[create.institutions]
"12140000" = "TAIYUAN"
[create.role]
"ward-doctors" = "doctor"
"reviewers" = "supervisor"
"""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data", **OPENID) as opened:
        signed_in(opened, "zhang", Role.DOCTOR, institution="TAIYUAN")
        yield opened


@pytest.fixture
def table(tmp_path: Path) -> Table:
    file = tmp_path / "mapping.toml"
    file.write_text(MAPPING, "utf-8")
    return read_mapping(file)


def _provided(sub: str, issuer: str = ISSUER, sid: str = "s", **claims: Any) -> Provided:
    return Provided(issuer, sub, sid, "a.b.c", {"sub": sub, **claims})


def _account(archive: TestArchive, provided: Provided, table: Table) -> Account:
    return account_of(archive.store, provided, table, now, "192.0.2.7")


def _doctor(sub: str = "1", *roles: str, user: str = "li", org: str = "12140000") -> Provided:
    return _provided(sub, user=user, name="李医师", org=org, realm_access={"roles": list(roles or ("ward-doctors",))})


def test_an_account_is_bound_once_and_then_known_by_issuer_and_sub_alone(archive: TestArchive, table: Table) -> None:
    assert _account(archive, _provided("7", user="ZHANG"), table).name == "zhang"
    assert _account(archive, _provided("7", user="somebody else"), table).name == "zhang"
    with pytest.raises(SignInFailed) as failed:  # another who is called so now
        _account(archive, _provided("8", user="zhang"), table)
    assert failed.value.reason is Reason.NOBODY


def test_without_a_table_nobody_is_bound_and_the_operator_binds(archive: TestArchive) -> None:
    accounts, operator = archive.access.accounts, archive.access.local()
    somebody = _provided("7", user="zhang", preferred_username="zhang", email="zhang@example.cn")
    with pytest.raises(SignInFailed):
        _account(archive, somebody, Table())
    accounts.bind(operator, "zhang", "7")
    assert _account(archive, somebody, Table()).name == "zhang"
    for name, sub in (("zhang", "8"), ("zhang", "7")):
        with pytest.raises(BadRequest):
            accounts.bind(operator, name, sub)
    accounts.unbind(operator, "zhang")
    with pytest.raises(SignInFailed):
        _account(archive, somebody, Table())
    with pytest.raises(NotFound):
        accounts.unbind(operator, "zhang")


def test_an_account_is_made_and_follows_what_the_provider_says(archive: TestArchive, table: Table) -> None:
    made = _account(archive, _doctor(), table)
    assert (made.name, made.institution, made.roles) == ("li", "TAIYUAN", {Role.DOCTOR})
    begun = archive.access.accounts.begin_provided(made, _doctor(), "127.0.0.1", "", strong=True)
    more = _account(archive, _doctor("1", "reviewers", "ward-doctors"), table)
    assert more.roles == {Role.DOCTOR, Role.SUPERVISOR}
    # Who is signed in with the roles of before signs in anew.
    archive.access.accounts.sessions.forget()
    with pytest.raises(NotSignedIn):
        archive.access.by_session(begun.secret, "127.0.0.1")
    with pytest.raises(SignInFailed):
        _account(archive, _doctor("1", "nothing of ours"), table)
    account = next(each for each in archive.access.accounts.all(archive.access.local()) if each.name == "li")
    assert account.roles == frozenset()
    assert _account(archive, _doctor(), table).roles == {Role.DOCTOR}


def test_what_the_provider_makes_and_changes_is_in_the_audit_of_the_same_transaction(
    archive: TestArchive, table: Table
) -> None:
    _account(archive, _doctor(), table)
    _account(archive, _doctor(), table)  # nothing has changed
    _account(archive, _doctor("1", "reviewers"), table)
    _account(archive, _provided("7", user="zhang"), table)
    lines = [each for each in auditing.lines(archive.store) if each.looked.rule == "provider" and each.looked.detail]
    said = [(each.looked.id, each.looked.detail["fact"]) for each in reversed(lines)]
    assert said == [
        ("li", "account_added"), ("li", "account_bound"), ("li", "roles_set"), ("zhang", "account_bound"),
    ]  # fmt: skip
    assert auditing.check(archive.store).first_fault is None
    askers = {tuple(each.asker[name] for name in ("kind", "name", "host")) for each in lines}
    assert askers == {("system", ISSUER, "192.0.2.7")}
    assert {(each.looked.action, each.looked.allowed) for each in lines} == {("accounts.keep", True)}
    with archive.store.database.read() as tx:
        told = [row.kind for row in tx.execute(select(LEDGER)) if json.loads(row.body).get("by") == "provider"]
    assert told == [f"access.{fact}" for _, fact in said]


def test_an_account_that_was_made_has_no_password(archive: TestArchive, table: Table) -> None:
    _account(archive, _doctor(), table)
    for password in ("", PASSWORD):
        with pytest.raises(NotSignedIn):
            archive.access.accounts.sign_in("li", password, "127.0.0.1")


@pytest.mark.parametrize(
    "provided",
    [_doctor(org="elsewhere"), _doctor(org=""), _doctor("1", "no role"), _doctor(user=""), _provided("1", user="li")],
)
def test_claims_that_do_not_do_make_no_account(archive: TestArchive, table: Table, provided: Provided) -> None:
    with pytest.raises(SignInFailed):
        _account(archive, provided, table)


def test_a_disabled_account_is_not_opened_by_the_provider(archive: TestArchive, table: Table) -> None:
    _account(archive, _provided("7", user="zhang"), table)
    archive.access.accounts.set_active(archive.access.local(), "zhang", active=False)
    with pytest.raises(SignInFailed):
        _account(archive, _provided("7", user="zhang"), table)


def test_the_same_sub_of_another_issuer_is_another(archive: TestArchive, table: Table) -> None:
    _account(archive, _provided("7", user="zhang"), table)
    with pytest.raises(SignInFailed):
        _account(archive, _provided("7", "https://elsewhere.example"), Table())


def test_our_authenticator_is_asked_where_the_provider_asked_for_none(tmp_path: Path, table: Table) -> None:
    with archive_in(tmp_path / "other", totp_roles="doctor", **OPENID) as archive:
        account = _account(archive, _doctor(), table)
        begin = archive.access.accounts.begin_provided
        assert begin(account, _doctor(), "127.0.0.1", "", strong=False).session.stage is Stage.ENROL
        assert begin(account, _doctor(), "127.0.0.1", "", strong=True).session.stage is Stage.FULL


def test_what_ended_there_ends_here_also_after_the_second_step(tmp_path: Path, table: Table) -> None:
    import pyotp

    with archive_in(tmp_path / "other", totp_roles="doctor", **OPENID) as archive:
        access, somebody = archive.access, _doctor()
        first = access.accounts.begin_provided(
            _account(archive, somebody, table), somebody, "127.0.0.1", "", strong=False
        )
        code = pyotp.TOTP(first.session.enrolling).now()
        signed = access.accounts.give_code(first.secret, code, "127.0.0.1")
        assert access.by_session(signed.secret, "127.0.0.1").asker.name == "li"
        assert access.accounts.end_provided(ISSUER, "1", "another session") == 0
        assert access.accounts.end_provided("https://elsewhere.example", "1", "s") == 0
        assert access.accounts.end_provided(ISSUER, "1", "s") == 1
        with pytest.raises(NotSignedIn):
            access.by_session(signed.secret, "127.0.0.1")


def test_whom_the_provider_proves_is_asked_for_no_other_password(tmp_path: Path, table: Table) -> None:
    import pyotp

    with archive_in(tmp_path / "other", totp_roles="doctor", **OPENID) as archive:
        accounts, somebody = archive.access.accounts, _doctor()
        made = _account(archive, somebody, table)
        accounts.set_password(archive.access.local(), made.name, "given by an admin")
        account = _account(archive, somebody, table)
        assert account.password_known
        begin = accounts.begin_provided
        assert begin(account, somebody, "127.0.0.1", "", strong=True).session.stage is Stage.FULL
        first = begin(account, somebody, "127.0.0.1", "", strong=False)
        code = pyotp.TOTP(first.session.enrolling).now()
        assert accounts.give_code(first.secret, code, "127.0.0.1").session.stage is Stage.FULL


def test_whom_the_provider_proved_is_not_signed_in_to_what_was_unbound_or_changed_meanwhile(
    archive: TestArchive, table: Table
) -> None:
    accounts, operator, somebody = archive.access.accounts, archive.access.local(), _provided("7", user="zhang")
    for change in (
        lambda: accounts.set_roles(operator, "zhang", frozenset({Role.CLERK})),
        lambda: accounts.unbind(operator, "zhang"),
    ):
        account = _account(archive, somebody, table)
        change()
        with pytest.raises(SignInFailed):
            accounts.begin_provided(account, somebody, "127.0.0.1", "", strong=True)


def test_signing_out_says_whose_session_it_was_there(archive: TestArchive, table: Table) -> None:
    accounts = archive.access.accounts
    account = _account(archive, _provided("7", user="zhang"), table)
    signed = accounts.begin_provided(account, _provided("7"), "127.0.0.1", "", strong=True)
    assert accounts.sign_out(signed.secret) == "a.b.c"
    assert accounts.sign_out(signed.secret) is None
    assert accounts.sign_out(accounts.sign_in("zhang", PASSWORD, "127.0.0.1").secret) is None


def test_passwords_can_be_switched_off(tmp_path: Path) -> None:
    with archive_in(tmp_path / "off", local_sign_in=False, **OPENID) as archive, pytest.raises(NotSignedIn):
        signed_in(archive, "zhang", Role.DOCTOR)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[bind]\nclaim = "email"', "e-mail"),
        ('[create]\nname = "mail"\nroles = "r"\n[create.role]\na = "doctor"', "e-mail"),
        ('[bind]\nclaims = "sub"', "unknown claims"),
        ("[bnid]", "unknown bnid"),
        ("bind = 1", "unknown bind"),
        ("[bind]\nclaim = 1", "text"),
        ('[create]\nname = "u"', "wants"),
        ('[create]\nname = "u"\nroles = "r"\n[create.role]\na = "king"', "king"),
        ('[create]\nname = "u"\nroles = "r"\nrole = "doctor"', "tables"),
        ("[", "mapping.toml"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=said):
        read_mapping(file)


@pytest.mark.parametrize(
    "left_out",
    ["oidc_client_id", "oidc_client_secret", "public_url"],
)
def test_half_a_provider_is_refused(left_out: str) -> None:
    with pytest.raises(SettingsError):
        Settings(**{**OPENID, left_out: ""})  # type: ignore[arg-type]


def test_somebody_must_be_able_to_sign_in() -> None:
    with pytest.raises(SettingsError):
        Settings(local_sign_in=False)


NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)


def test_what_begins_in_a_browser_ends_there_and_in_time() -> None:
    begun = Begun.now("/people?q=王.1", NOW)
    again = Begun.read(begun.cookie, begun.state, NOW + timedelta(seconds=599))
    assert again == begun
    other = Begun.now("/", NOW)
    assert len({begun.state, begun.nonce, begun.verifier, begun.challenge, other.state}) == 5
    assert 43 <= len(begun.verifier) <= 128  # RFC 7636 4.1
    for cookie, state, late_s in (
        ("", begun.state, 0),
        (begun.cookie, "", 0),
        (begun.cookie, other.state, 0),
        (begun.cookie, begun.state, 601),
        (begun.cookie, begun.state, -601),
        ("x.y.z", begun.state, 0),
        (f"{begun.at_s}..", begun.state, 0),
    ):
        with pytest.raises(SignInFailed) as failed:
            Begun.read(cookie, state, NOW + timedelta(seconds=late_s))
        assert failed.value.reason is Reason.STALE


def test_an_address_too_long_for_a_cookie_is_left_out() -> None:
    assert Begun.now("/" + "x" * 5000, NOW).target == "/"

"""Accounts and sessions: who gets in, who does not, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pyotp
import pytest
from sqlalchemy import select, text
from tests.archives import PASSWORD, TestArchive, archive_in, signed_in

from huitong.access import auditing
from huitong.access.accounts.actions import Accounts
from huitong.access.accounts.model import Account, Stage
from huitong.access.accounts.sessions import Sessions
from huitong.access.accounts.tables import ACCOUNT, SESSION, SIGN_IN_FAILURE
from huitong.access.actions import Access
from huitong.access.model import Kind, Role
from huitong.access.recalling import LOOK_S
from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotAllowed, NotFound, NotSignedIn, PasswordToChoose
from huitong.catalog.sign_in import SIGN_IN

HERE = "127.0.0.1"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def on(archive: TestArchive, hands: Hands, **settings: object) -> Accounts:
    """Accounts of another process on the same store, by this clock."""
    store = archive.store
    if settings:
        store.settings = replace(store.settings, **settings)  # type: ignore[arg-type]
    return Accounts(store, Sessions(store, hands.now, hands.seconds), hands.now)


def test_who_signs_in_is_staff_with_roles_or_a_person(archive: TestArchive) -> None:
    work = archive.access.by_session(signed_in(archive, "Zhang", Role.DOCTOR, institution="TAIYUAN"), HERE)
    asker = work.asker
    assert (asker.kind, asker.name, asker.institution, asker.roles) == (Kind.STAFF, "zhang", "TAIYUAN", {Role.DOCTOR})
    assert asker.session
    assert not work.may_send
    assert not work.may_decide
    resident = archive.access.by_session(signed_in(archive, "wang", person="X1"), HERE)
    assert (resident.asker.kind, resident.asker.person, resident.institution) == (Kind.PERSON, "X1", None)
    assert archive.access.by_session(signed_in(archive, "li", Role.REGISTRAR), HERE).may_decide


def test_a_reader_is_a_token_before_a_session_before_an_address(archive: TestArchive) -> None:
    cookie = signed_in(archive, "zhang", Role.DOCTOR, institution="TAIYUAN")
    kinds = [
        archive.access.reader(token, HERE, cookie=secret).asker.kind
        for token, secret in (("Bearer demo-TAIYUAN", cookie), (None, cookie), (None, None))
    ]
    assert kinds == [Kind.SYSTEM, Kind.STAFF, Kind.OPEN]
    with pytest.raises(NotSignedIn):
        archive.access.reader(None, "203.0.113.9", cookie="nonsense")


def test_a_registrar_is_so_by_role_and_another_session_is_not_helped_by_its_address(archive: TestArchive) -> None:
    assert archive.access.registrar("203.0.113.9", signed_in(archive, "li", Role.REGISTRAR)).may_decide
    with pytest.raises(NotAllowed):
        archive.access.registrar(HERE, signed_in(archive, "zhang", Role.DOCTOR))


def test_unknown_wrong_and_disabled_are_one_answer(archive: TestArchive) -> None:
    accounts = archive.access.accounts
    signed_in(archive, "zhang", Role.DOCTOR)
    signed_in(archive, "gone", Role.DOCTOR)
    accounts.set_active(archive.access.local(), "gone", active=False)
    said = set()
    for name, password in (("zhang", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("", ""), ("\x00", "\x00")):
        with pytest.raises(NotSignedIn) as refused:
            accounts.sign_in(name, password, HERE)
        said.add(str(refused.value))
    assert len(said) == 1


def test_unknown_and_wrong_take_the_same_time(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)

    def seconds(name: str, host: str) -> float:
        begin = time.perf_counter()
        with pytest.raises(NotSignedIn):
            archive.access.accounts.sign_in(name, "wrong", host)
        return time.perf_counter() - begin

    seconds("nobody", HERE)
    took = [(seconds("zhang", HERE), seconds(f"nobody{n}", HERE)) for n in range(7)]
    known, unknown = (median(each) for each in zip(*took, strict=True))
    assert 0.5 < known / unknown < 2


def test_an_account_is_locked_after_failures_and_free_again_later(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands)
    for _ in range(SIGN_IN.account_failures):
        with pytest.raises(NotSignedIn):
            accounts.sign_in("zhang", "wrong", HERE)
    with pytest.raises(NotSignedIn):
        accounts.sign_in("zhang", PASSWORD, "203.0.113.9")
    hands.move(SIGN_IN.locked_s + 1)
    assert accounts.sign_in("zhang", PASSWORD, HERE).session.stage is Stage.FULL


def test_many_attempts_at_once_are_no_more_than_in_a_row(archive: TestArchive) -> None:
    accounts = archive.access.accounts

    def attempt(_: int) -> bool:
        return accounts._attempt("zhang", HERE, datetime.now(UTC))

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(40))) == SIGN_IN.account_failures


def test_an_address_is_locked_whatever_names_it_tries(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    accounts = archive.access.accounts
    for n in range(SIGN_IN.address_failures):
        assert accounts._attempt(f"nobody{n}", "203.0.113.9", datetime.now(UTC))
    with pytest.raises(NotSignedIn):
        accounts.sign_in("zhang", PASSWORD, "203.0.113.9")
    assert accounts.sign_in("zhang", PASSWORD, HERE)


def test_signing_in_oneself_forgives_nothing_that_an_address_tried_with_other_names(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands)
    for n in range(SIGN_IN.address_failures):
        assert accounts._attempt(f"nobody{n}", HERE, hands.at)
        if n in (30, 60):
            mine = accounts.sign_in("zhang", PASSWORD, HERE)
        if n == 90:
            asker = accounts.sessions.asker(mine.secret)
            assert asker is not None
            accounts.begin_totp(Work(archive.store, asker, "http", HERE, hands.at, False, hands.now), PASSWORD)
    with pytest.raises(NotSignedIn):
        accounts.sign_in("zhang", PASSWORD, HERE)
    hands.move(SIGN_IN.locked_s + 1)
    assert accounts.sign_in("zhang", PASSWORD, HERE)


def test_a_hospital_behind_one_address_is_not_locked_by_mistakes_of_a_day(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands)
    for n in range(3 * SIGN_IN.address_failures):  # without a quarter of an hour between any two
        assert accounts._attempt(f"mistyped{n}", HERE, hands.at)
        hands.move(SIGN_IN.locked_s / (SIGN_IN.address_failures - 2))


def test_what_succeeds_does_not_count_against_an_address(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands, totp_roles="doctor")
    first = accounts.sign_in("zhang", PASSWORD, HERE)
    totp = pyotp.TOTP(first.session.enrolling)
    full = accounts.give_code(first.secret, totp.at(hands.at), HERE)
    asker = accounts.sessions.asker(full.secret)
    assert asker is not None
    mine = Work(archive.store, asker, "http", HERE, hands.at, False, hands.now)
    accounts.begin_totp(mine, PASSWORD)
    hands.move(30)
    accounts.finish_totp(mine, pyotp.TOTP(accounts.enrolling(mine)).at(hands.at))
    accounts.set_password(mine, "zhang", "another password", old=PASSWORD)
    with archive.store.database.read() as tx:
        assert not any(tx.execute(select(SIGN_IN_FAILURE.c.failures)).scalars())


def test_a_session_ends_when_idle_and_when_old(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands, session_idle_s=600.0, session_s=3600.0)
    secret = accounts.sign_in("zhang", PASSWORD, HERE).secret
    for _ in range(6):
        hands.move(590)
        assert accounts.sessions.asker(secret)
    hands.move(590)
    assert accounts.sessions.asker(secret) is None  # used all along, but an hour has passed
    secret = accounts.sign_in("zhang", PASSWORD, HERE).secret
    hands.move(601)
    assert accounts.sessions.asker(secret) is None


@pytest.mark.parametrize("idle_s", [60.0, 90.0, 1800.0])
def test_a_session_in_use_goes_on_however_short_the_idle_time(archive: TestArchive, idle_s: float) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands, session_idle_s=idle_s)
    secret = accounts.sign_in("zhang", PASSWORD, HERE).secret
    for _ in range(30):
        hands.move(idle_s * 0.7)
        assert accounts.sessions.asker(secret)
    hands.move(idle_s + 1)
    assert accounts.sessions.asker(secret) is None


def test_what_one_process_ends_another_knows_within_two_seconds(archive: TestArchive) -> None:
    secret = signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    hands.at = datetime.now(UTC)
    other = on(archive, hands)
    assert other.sessions.asker(secret)
    archive.access.accounts.sign_out(secret)
    with pytest.raises(NotSignedIn):
        archive.access.by_session(secret, HERE)
    hands.move(LOOK_S + 0.01)
    assert other.sessions.asker(secret) is None


def test_secrets_are_not_in_the_database(archive: TestArchive) -> None:
    secret = signed_in(archive, "zhang", Role.DOCTOR)
    with archive.store.database.read() as tx:
        rows = [*tx.execute(select(ACCOUNT)), *tx.execute(select(SESSION))]
    assert rows
    assert secret not in repr(rows)
    assert PASSWORD not in repr(rows)


def test_an_authenticator_is_enrolled_where_a_role_demands_it_and_asked_for_after(archive: TestArchive) -> None:
    signed_in(archive, "admin", Role.ADMIN)
    hands = Hands()
    accounts = on(archive, hands, totp_roles="admin")
    first = accounts.sign_in("admin", PASSWORD, HERE)
    assert first.session.stage is Stage.ENROL
    assert accounts.sessions.asker(first.secret) is None
    totp = pyotp.TOTP(first.session.enrolling)
    full = accounts.give_code(first.secret, totp.at(hands.at), HERE)
    assert full.secret != first.secret
    assert accounts.sessions.asker(full.secret)
    second = accounts.sign_in("admin", PASSWORD, HERE)
    assert second.session.stage is Stage.CODE
    with pytest.raises(NotSignedIn):
        accounts.give_code(second.secret, totp.at(hands.at), HERE)  # the step was taken
    hands.move(30)
    assert accounts.give_code(second.secret, totp.at(hands.at), HERE).session.stage is Stage.FULL
    with pytest.raises(NotSignedIn):
        accounts.give_code(second.secret, totp.at(hands.at), HERE)  # the first step is gone


class Between(Accounts):
    """Somebody else is quicker: `meanwhile` happens after the password was found right, or the code was given."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)
    in_code = False

    def _first_stage(self, account: Account) -> Stage:
        self.meanwhile()
        return super()._first_stage(account)

    def _attempt(self, name: str, host: str, at: datetime) -> bool:
        allowed = super()._attempt(name, host, at)
        if self.in_code:
            self.meanwhile()
        return allowed


CHANGES: dict[str, Callable[[Accounts, Work], object]] = {
    "password": lambda accounts, operator: accounts.set_password(operator, "zhang", "reset by an admin"),
    "disabled and enabled": lambda accounts, operator: [
        accounts.set_active(operator, "zhang", active=active) for active in (False, True)
    ],
    "roles": lambda accounts, operator: accounts.set_roles(operator, "zhang", frozenset({Role.CLERK})),
}


@pytest.mark.parametrize("what", ["password", "roles"])
def test_a_sign_in_under_way_does_not_survive_a_change_of_the_account(archive: TestArchive, what: str) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    accounts = Between(archive.store, archive.access.accounts.sessions, archive.access._clock)
    accounts.meanwhile = lambda: CHANGES[what](archive.access.accounts, archive.access.local())
    with pytest.raises(NotSignedIn):
        accounts.sign_in("zhang", PASSWORD, HERE)
    assert archive.access.accounts.sessions_of(archive.access.local(), "zhang") == []


@pytest.mark.parametrize("what", ["password", "disabled and enabled", "ended"])
def test_a_code_under_way_does_not_survive_the_end_of_its_sign_in(archive: TestArchive, what: str) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    operator, hands = archive.access.local(), Hands()
    on(archive, hands, totp_roles="doctor")
    accounts = Between(archive.store, archive.access.accounts.sessions, hands.now)
    change = {**CHANGES, "ended": lambda accounts, operator: accounts.end_all(operator, "zhang")}[what]
    first = accounts.sign_in("zhang", PASSWORD, HERE)
    accounts.in_code, accounts.meanwhile = True, lambda: change(archive.access.accounts, operator)
    with pytest.raises(NotSignedIn):
        accounts.give_code(first.secret, pyotp.TOTP(first.session.enrolling).at(hands.at), HERE)
    assert archive.access.accounts.sessions_of(operator, "zhang") == []


def test_of_two_who_enrol_an_authenticator_the_first_has_it_and_the_other_is_out(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    hands = Hands()
    accounts = on(archive, hands, totp_roles="doctor")
    thief, owner = (accounts.sign_in("zhang", PASSWORD, HERE) for _ in range(2))
    code = pyotp.TOTP(owner.session.enrolling).at(hands.at)
    assert accounts.give_code(owner.secret, code, HERE).session.stage is Stage.FULL
    hands.move(30)
    with pytest.raises(NotSignedIn):
        accounts.give_code(thief.secret, pyotp.TOTP(thief.session.enrolling).at(hands.at), HERE)
    assert [fact for *_, fact in written(archive)].count("totp_enrolled") == 1
    assert len(accounts.sessions_of(archive.access.local(), "zhang")) == 1


def test_a_code_is_awaited_for_five_minutes_and_guessed_a_few_times(archive: TestArchive) -> None:
    signed_in(archive, "admin", Role.ADMIN)
    hands = Hands()
    accounts = on(archive, hands, totp_roles="admin")
    first = accounts.sign_in("admin", PASSWORD, HERE)
    totp = pyotp.TOTP(first.session.enrolling)
    for _ in range(SIGN_IN.account_failures - 1):
        with pytest.raises(NotSignedIn):
            accounts.give_code(first.secret, "abc一", HERE)
    with pytest.raises(NotSignedIn):
        accounts.give_code(first.secret, totp.at(hands.at), HERE)
    hands.move(SIGN_IN.locked_s + 1)
    late = accounts.sign_in("admin", PASSWORD, HERE)
    hands.move(SIGN_IN.code_s + 1)
    with pytest.raises(NotSignedIn):
        accounts.give_code(late.secret, pyotp.TOTP(late.session.enrolling).at(hands.at), HERE)


@pytest.mark.parametrize("what", ["password", "roles", "totp", "disabled"])
def test_what_is_changed_of_an_account_ends_its_sessions_and_stands_in_the_ledger(
    archive: TestArchive, what: str
) -> None:
    secret, accounts, operator = (
        signed_in(archive, "zhang", Role.DOCTOR),
        archive.access.accounts,
        archive.access.local(),
    )
    assert archive.access.by_session(secret, HERE)
    match what:
        case "password":
            mine = accounts.sign_in("zhang", PASSWORD, HERE).secret  # the one in which it is changed goes on
            accounts.set_password(archive.access.by_session(mine, HERE), "zhang", "another password", old=PASSWORD)
            assert archive.access.by_session(mine, HERE)
        case "roles":
            accounts.set_roles(operator, "zhang", frozenset({Role.CLERK}))
        case "totp":
            accounts.reset_totp(operator, "zhang")
        case _:
            accounts.set_active(operator, "zhang", active=False)
    with pytest.raises(NotSignedIn):
        archive.access.by_session(secret, HERE)
    with archive.store.database.read() as tx:
        kinds = tx.execute(text("SELECT kind FROM ledger WHERE subject = 'zhang' ORDER BY seq")).scalars().all()
    assert len(kinds) == 2
    assert kinds[0] == "access.account_added"


def test_a_password_that_somebody_else_made_opens_nothing_until_there_is_another(archive: TestArchive) -> None:
    accounts, operator = archive.access.accounts, archive.access.local()
    accounts.add(operator, "zhang", "given by an admin", roles=frozenset({Role.DOCTOR}))
    step = accounts.sign_in("zhang", "given by an admin", HERE)
    assert step.session.stage is Stage.PASSWORD
    with pytest.raises(PasswordToChoose):
        archive.access.by_session(step.secret, HERE)
    with pytest.raises(NotSignedIn):  # it is no code either
        accounts.give_code(step.secret, "000000", HERE)
    for refused in ("given by an admin", "short", "x" * (SIGN_IN.max_password + 1)):
        with pytest.raises(BadRequest):
            accounts.choose_password(step.secret, refused, HERE)
    other = accounts.sign_in("zhang", "given by an admin", HERE)
    full = accounts.choose_password(step.secret, "one of my own", HERE)
    assert archive.access.by_session(full.secret, HERE).asker.name == "zhang"
    for over in (step, other):  # whoever else knew the password, and was quicker to begin
        with pytest.raises(NotSignedIn):
            accounts.choose_password(over.secret, "another of my own", HERE)
    with pytest.raises(NotSignedIn):
        accounts.sign_in("zhang", "given by an admin", HERE)
    assert accounts.sign_in("zhang", "one of my own", HERE).session.stage is Stage.FULL
    line = next(each for each in auditing.lines(archive.store) if each.looked.detail.get("fact") == "password_set")
    assert (line.looked.action, line.looked.rule, line.looked.id) == ("accounts.own", "own account", "zhang")
    accounts.set_password(operator, "zhang", "reset by an admin")
    assert accounts.sign_in("zhang", "reset by an admin", HERE).session.stage is Stage.PASSWORD


def test_a_password_is_chosen_after_the_authenticator_and_in_time(archive: TestArchive) -> None:
    hands = Hands()
    accounts, operator = on(archive, hands, totp_roles="doctor"), archive.access.local()
    accounts.add(operator, "zhang", "given by an admin", roles=frozenset({Role.DOCTOR}))
    first = accounts.sign_in("zhang", "given by an admin", HERE)
    assert first.session.stage is Stage.ENROL
    with pytest.raises(NotSignedIn):
        accounts.choose_password(first.secret, "one of my own", HERE)
    code = pyotp.TOTP(first.session.enrolling).at(hands.now())
    step = accounts.give_code(first.secret, code, HERE)
    assert step.session.stage is Stage.PASSWORD
    assert accounts.awaits_password(step.secret)
    hands.move(SIGN_IN.code_s + 1)
    assert not accounts.awaits_password(step.secret)
    with pytest.raises(NotSignedIn):
        accounts.choose_password(step.secret, "one of my own", HERE)


def test_sessions_are_listed_and_ended_by_their_owner_and_by_an_admin_alone(archive: TestArchive) -> None:
    accounts = archive.access.accounts
    own, other, admin = (
        archive.access.by_session(signed_in(archive, name, role), HERE)
        for name, role in (("zhang", Role.DOCTOR), ("li", Role.SUPERVISOR), ("zhao", Role.ADMIN))
    )
    second = accounts.sign_in("zhang", PASSWORD, HERE)
    assert [each.public_id for each in accounts.sessions_of(own, "zhang")] == [
        second.session.public_id,
        own.asker.session,
    ]
    with pytest.raises(NotAllowed):
        accounts.sessions_of(other, "zhang")
    with pytest.raises(NotAllowed):
        accounts.end_session(other, "zhang", second.session.public_id)
    accounts.end_session(own, "zhang", other.asker.session)  # not one of theirs: left alone
    assert accounts.sessions_of(other, "li")
    accounts.end_session(admin, "zhang", second.session.public_id)
    assert len(accounts.sessions_of(admin, "zhang")) == 1


def test_accounts_are_kept_by_admins_alone(archive: TestArchive) -> None:
    accounts = archive.access.accounts
    doctor = archive.access.by_session(signed_in(archive, "zhang", Role.DOCTOR), HERE)
    roles = frozenset({Role.ADMIN})
    for refused in (
        lambda: accounts.all(doctor),
        lambda: accounts.add(doctor, "new", PASSWORD, roles=roles),
        lambda: accounts.set_roles(doctor, "zhang", roles),
        lambda: accounts.set_password(doctor, "zhang", PASSWORD),
        lambda: accounts.set_password(doctor, "li", PASSWORD, old=PASSWORD),
        lambda: accounts.reset_totp(doctor, "zhang"),
        lambda: accounts.set_active(doctor, "zhang", active=False),
        lambda: accounts.all(archive.reader),
        lambda: accounts.all(archive.sender()),
    ):
        with pytest.raises(NotAllowed):
            refused()
    own = archive.access.local()
    for name, password, values in (
        ("zhang", PASSWORD, {"roles": roles}),
        ("x", "short", {"roles": roles}),
        ("y", PASSWORD, {}),
    ):
        with pytest.raises(BadRequest):
            accounts.add(own, name, password, **values)
    with pytest.raises(NotFound):
        accounts.reset_totp(own, "nobody")


def test_another_store_knows_nothing_of_a_session(archive: TestArchive, tmp_path: Path) -> None:
    secret = signed_in(archive, "zhang", Role.DOCTOR)
    with archive_in(tmp_path / "other") as other:
        assert isinstance(other.access, Access)
        with pytest.raises(NotSignedIn):
            other.access.by_session(secret, HERE)


# --- the audit ---


def written(archive: TestArchive) -> list[tuple[str, bool, str, str]]:
    """Of the lines about accounts, oldest first: action, outcome, rule, and what was done."""
    lines = [line.looked for line in reversed(auditing.lines(archive.store)) if line.looked.kind == "account"]
    return [(line.action, line.allowed, line.rule, str(line.detail.get("fact", ""))) for line in lines]


def test_signing_in_and_out_and_failing_are_lines_of_the_audit(archive: TestArchive) -> None:
    secret, accounts = signed_in(archive, "zhang", Role.DOCTOR), archive.access.accounts
    with pytest.raises(NotSignedIn):
        accounts.sign_in("zhang", "wrong password", "203.0.113.9")
    accounts.sign_out(secret, HERE)
    accounts.sign_out(secret, HERE)
    assert written(archive) == [
        ("accounts.keep", True, "operator", "account_added"),
        ("accounts.sign-in", True, "password", ""),
        ("accounts.sign-in", False, "password", ""),
        ("accounts.sign-out", True, "session", ""),
    ]
    failed = auditing.lines(archive.store)[1]
    assert (failed.asker["name"], failed.asker["host"]) == ("zhang", "203.0.113.9")
    assert auditing.check(archive.store).first_fault is None


def test_attempts_make_no_more_lines_than_are_counted_and_one_that_it_is_locked(archive: TestArchive) -> None:
    signed_in(archive, "zhang", Role.DOCTOR)
    for _ in range(SIGN_IN.account_failures + 5):
        with pytest.raises(NotSignedIn):
            archive.access.accounts.sign_in("zhang", "wrong", HERE)
    failed = [rule for _, allowed, rule, _ in written(archive) if not allowed]
    assert failed == ["password"] * SIGN_IN.account_failures + ["locked"]


def test_names_that_are_none_make_no_lines(archive: TestArchive) -> None:
    for n in range(SIGN_IN.address_failures + 3):
        with pytest.raises(NotSignedIn):
            archive.access.accounts.sign_in(f"my password {n}", "wrong", HERE)
    assert auditing.lines(archive.store) == []


def test_what_is_changed_of_accounts_is_in_the_audit_without_secrets(archive: TestArchive) -> None:
    accounts = archive.access.accounts
    admin = archive.access.by_session(signed_in(archive, "zhao", Role.ADMIN), HERE)
    mine = archive.access.by_session(signed_in(archive, "zhang", Role.DOCTOR), HERE)
    accounts.sign_in("zhang", PASSWORD, HERE)
    begin = len(written(archive))
    accounts.end_others(mine)
    accounts.begin_totp(mine, PASSWORD)
    key = accounts.enrolling(mine)
    accounts.finish_totp(mine, pyotp.TOTP(key).now())
    with pytest.raises(NotSignedIn):
        accounts.set_password(mine, "zhang", "another password", old="wrong")
    accounts.set_password(mine, "zhang", "another password", old=PASSWORD)
    accounts.set_roles(admin, "zhang", frozenset({Role.CLERK}))
    accounts.set_active(admin, "zhang", active=False)
    assert written(archive)[begin:] == [
        ("accounts.own", True, "own account", "sessions_ended"),
        ("accounts.own", True, "own account", "totp_enrolled"),
        ("accounts.sign-in", False, "password", ""),
        ("accounts.own", True, "own account", "password_set"),
        ("accounts.keep", True, "admin", "roles_set"),
        ("accounts.keep", True, "admin", "account_disabled"),
    ]
    text_of = repr(auditing.lines(archive.store))
    assert key not in text_of
    assert "another password" not in text_of


def test_who_keeps_no_accounts_and_tries_is_in_the_audit(archive: TestArchive) -> None:
    doctor = archive.access.by_session(signed_in(archive, "zhang", Role.DOCTOR), HERE)
    with pytest.raises(NotAllowed):
        archive.access.accounts.all(doctor)
    looked = auditing.lines(archive.store)[0].looked
    assert (looked.action, looked.allowed, looked.rule) == ("accounts.keep", False, "none")

"""Signing in and out, and what is done with accounts.

Unknown, wrong, locked and disabled are one answer, after the same work: neither text nor time tells which it was.
An attempt is counted before its password is looked at, so that many at once are no more than many in a row.
"""

from __future__ import annotations

import secrets as random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from huitong.access import auditing
from huitong.access.accounts import demo, records, secrets
from huitong.access.accounts.model import Account, Session, SignedIn, Stage, folded_name
from huitong.access.accounts.sealing import Sealing, is_sealed, sealing
from huitong.access.accounts.sessions import Sessions
from huitong.access.auditing import Looked
from huitong.access.deciding import Action, Subject, decide
from huitong.access.model import FREE, Kind, Role
from huitong.access.openid import records as openid
from huitong.access.openid.model import Provided
from huitong.access.work import Work
from huitong.base.clock import Clock, milliseconds
from huitong.base.errors import BadRequest, NotAllowed, NotFound, NotSignedIn
from huitong.catalog.sign_in import SIGN_IN
from huitong.store import ledger
from huitong.store.store import Store

_REFUSED = "name, password or code is not right, or there were too many attempts"


class Accounts:
    """One for each process."""

    def __init__(self, store: Store, sessions: Sessions, clock: Clock) -> None:
        self._store, self.sessions, self._clock = store, sessions, clock
        if store.settings.account_key is not None:
            sealing(store)  # a key that is none is said at the start

    @property
    def _sealing(self) -> Sealing:
        return sealing(self._store)

    def sign_in(self, name: str, password: str, host: str, device: str = "") -> SignedIn:
        """The first step; `device` as in `Session`.

        Raises NotSignedIn, in the same words and after the same time whatever was wrong.
        """
        if not self._store.settings.local_sign_in:
            raise NotSignedIn("sign in at the provider")
        name, at = folded_name(name), self._clock()
        allowed = self._attempt(name, host, at)
        with self._store.database.read() as tx:
            account, (kept, _) = records.account(tx, name), records.secrets_of(tx, name)
        right = secrets.password_is(password, kept) and (password != demo.PASSWORD or self._store.settings.demo)
        if not (allowed and right and account is not None and account.active):
            self._refused(account, "disabled" if right else "password", host, at, allowed=allowed)
            raise NotSignedIn(_REFUSED)
        return self._begin(account, self._first_stage(account), host, at, device)

    def of_demo(self) -> list[Account]:
        """The demo's accounts that there are, to be offered at sign-in; none without the setting `demo`."""
        if not self._store.settings.demo:
            return []
        with self._store.database.read() as tx:
            found = (records.account(tx, name) for name in demo.NAMES)
            return [each for each in found if each is not None and each.active]

    def give_code(self, secret: str, code: str, host: str) -> SignedIn:
        """The second step: a code of the authenticator, or the first of one that is enrolled. Raises NotSignedIn."""
        waiting, at = self.waiting(secret), self._clock()
        account = waiting.account
        allowed = self._attempt(account.name, host, at)
        with self._store.database.write() as tx:
            kept = records.secrets_of(tx, account.name)[1]
            key = waiting.enrolling or self._sealing.open(kept, account.name)
            step = secrets.totp_step(key, code, at) if key else None
            good = allowed and step is not None and records.take_step(tx, account.name, step)
            provided = openid.is_session(tx, waiting.public_id)
            if good:
                records.end_sessions(tx, [waiting.public_id])
            if good and not is_sealed(kept):  # enrolled now, or before there was a key
                records.change_account(tx, account.name, totp_secret=self._sealing.seal(key, account.name))
            if good and waiting.stage is Stage.ENROL:
                self._tell(tx, self._work(account, waiting.public_id, host, at), "totp_enrolled", account)
        if not good:
            self._refused(account, "code", host, at, allowed=allowed)
            raise NotSignedIn(_REFUSED)
        stage = Stage.FULL if provided else _last_stage(account)
        return self._begin(replace(account, has_totp=True), stage, host, at, waiting.device, after=waiting.public_id)

    def choose_password(self, secret: str, password: str, host: str) -> SignedIn:
        """The last step, where somebody else knows the password; every other session of the account ends.

        Raises NotSignedIn, BadRequest for one that is too short or too long, and for the one that is known.
        """
        waiting, at = self.waiting(secret, Stage.PASSWORD), self._clock()
        account, hashed = waiting.account, secrets.password_hash(password)
        with self._store.database.read() as tx:
            kept, _ = records.secrets_of(tx, account.name)
        if secrets.password_is(password, kept):
            raise BadRequest("the password is the one that somebody else knows")
        with self._store.database.write() as tx:
            self._store.database.lock(tx, [f"account:{account.name}"])
            if records.session(tx, secrets.digest(secret)) is None:  # another request was quicker
                raise NotSignedIn("sign in anew")
            records.change_account(tx, account.name, password_hash=hashed, password_known=0)
            records.end_sessions(tx, [each.public_id for each in records.sessions_of(tx, account.name)])
            self._tell(tx, self._work(account, waiting.public_id, host, at), "password_set", account)
        self.sessions.forget()
        return self._begin(replace(account, password_known=False), Stage.FULL, host, at, waiting.device)

    def awaits_password(self, secret: str) -> bool:
        """Whether this sign-in has only another password to be chosen before it opens something."""
        try:
            return bool(self.waiting(secret, Stage.PASSWORD))
        except NotSignedIn:
            return False

    def begin_provided(self, account: Account, provided: Provided, host: str, device: str, *, strong: bool) -> SignedIn:
        """A session of somebody whom a provider has proved; `strong`: with a second factor, so that ours is not asked.

        Only for `access.openid`, which has looked at the proof.
        """
        proved = replace(account, password_known=False)  # no password was asked for
        stage = Stage.FULL if strong else self._first_stage(proved)
        return self._begin(account, stage, host, self._clock(), device, provided=provided)

    def end_provided(self, issuer: str, sub: str, sid: str) -> int:
        """The provider has ended a session (`sid`), or all of somebody's: so many ended here."""
        with self._store.database.write() as tx:
            ended = openid.sessions(tx, issuer, sub, sid)
            records.end_sessions(tx, ended)
            openid.end_sessions(tx, ended)
        self.sessions.forget()
        return len(ended)

    def _refused(self, account: Account | None, rule: str, host: str, at: datetime, *, allowed: bool) -> None:
        """A line of the audit, of an account that there is: so many as attempts are counted, and of those that are not
        even counted one for each day. A name that is none, which may be a password, is written nowhere: what costs time
        is done, but nothing grows.
        """
        if account is None:
            if allowed:
                with self._store.database.write() as tx:
                    records.touch_failures(tx, f"address:{host}")
            return
        work = self._work(account, "", host, at)
        if allowed:
            auditing.record(work, _looked(_SIGN_IN, account, rule, allowed=False))
        else:
            auditing.once(work, _looked(_SIGN_IN, account, "locked", allowed=False))

    def _work(self, account: Account, session: str, host: str, at: datetime) -> Work:
        """Of whoever is about to be signed in, for the audit."""
        return Work(self._store, account.asker(session), "http", host, at, False, self._clock)

    def waiting(self, secret: str, *stages: Stage) -> Session:
        """The sign-in that awaits its code, or what `stages` say; raises NotSignedIn when there is none, or no more."""
        with self._store.database.read() as tx:
            found = records.session(tx, secrets.digest(secret))
        late = self._clock() - timedelta(seconds=SIGN_IN.code_s)
        if (
            found is None
            or found.stage not in (stages or (Stage.CODE, Stage.ENROL))
            or found.began_at < late
            or not found.account.active
        ):
            raise NotSignedIn("sign in anew")
        return replace(found, enrolling=self._sealing.open(found.enrolling, found.account.name))

    def _first_stage(self, account: Account) -> Stage:
        if account.has_totp:
            return Stage.CODE
        demanded = set(self._store.settings.totp_roles.replace(",", " ").split())
        return _last_stage(account) if demanded.isdisjoint(account.roles) else Stage.ENROL

    def _attempt(self, name: str, host: str, at: datetime) -> bool:
        """Whether one more is allowed; it counts as failed until it succeeds."""
        limits = self._limits(name, host)
        since_ms = milliseconds(at) - SIGN_IN.locked_s * 1000
        with self._store.database.write() as tx:
            self._store.database.lock(tx, limits)
            before = {subject: records.failures(tx, subject, since_ms) for subject in limits}
            allowed = all(before[subject] < limit for subject, limit in limits.items())
            if allowed:  # what is refused anyway must not make the wait longer
                for subject, count in before.items():
                    records.set_failures(tx, subject, count + 1, milliseconds(at))
        return allowed

    @staticmethod
    def _limits(name: str, host: str) -> dict[str, int]:
        return {f"account:{name}": SIGN_IN.account_failures, f"address:{host}": SIGN_IN.address_failures}

    def _begin(
        self,
        account: Account,
        stage: Stage,
        host: str,
        at: datetime,
        device: str,
        *,
        after: str = "",
        provided: Provided | None = None,
    ) -> SignedIn:
        """`after`: public id of the first step, whose session this one goes on."""
        secret, public_id = secrets.new_secret(), random.token_hex(8)
        enrolling = secrets.new_totp() if stage is Stage.ENROL else ""
        settings, at_ms = self._store.settings, milliseconds(at)
        with self._store.database.write() as tx:
            oldest_ms = at_ms - round(settings.session_s * 1000)
            records.forget_before(tx, oldest_ms, at_ms - SIGN_IN.locked_s * 1000)
            openid.forget_before(tx, oldest_ms)
            openid.carry_on(tx, after, public_id)
            if provided is not None:
                openid.add_session(tx, public_id, provided, at_ms)
            if stage is Stage.FULL:
                for subject in (f"account:{account.name}", f"address:{host}"):
                    records.set_failures(tx, subject, 0, at_ms)
            records.add_session(
                tx,
                public_id=public_id,
                secret_sha256=secrets.digest(secret),
                account_pk=account.pk,
                stage=stage.value,
                totp_secret=self._sealing.seal(enrolling, account.name) if enrolling else "",
                host=host,
                device=device,
                began_at_ms=at_ms,
                used_at_ms=at_ms,
            )
            if stage is Stage.FULL:
                by = "provider" if provided else "authenticator" if account.has_totp else "password"
                looked = _looked(_SIGN_IN, account, by, allowed=True, device=device)
                auditing.record_on(tx, self._work(account, public_id, host, at), looked)
        return SignedIn(Session(public_id, account, stage, host, at, at, enrolling, device), secret)

    def sign_out(self, secret: str, host: str = "") -> str | None:
        """Ends the session of this cookie; nothing happens without one.

        Answers the provider's ID token where the session began at the provider of the settings.
        """
        hint = None
        with self._store.database.write() as tx:
            found = records.session(tx, secrets.digest(secret))
            if found is not None:
                hint = openid.hint(tx, self._store.settings.oidc_issuer, found.public_id)
                records.end_sessions(tx, [found.public_id])
                openid.end_sessions(tx, [found.public_id])
            if found is not None and found.stage is Stage.FULL:
                work = self._work(found.account, found.public_id, host, self._clock())
                auditing.record_on(tx, work, _looked(_SIGN_OUT, found.account, "session", allowed=True))
        self.sessions.forget()
        return hint

    def sessions_of(self, work: Work, name: str) -> list[Session]:
        """Newest first. Raises NotAllowed for others' unless asked by an admin."""
        _own_or_admin(work, name)
        with self._store.database.read() as tx:
            return [each for each in records.sessions_of(tx, folded_name(name)) if each.stage is Stage.FULL]

    def end_others(self, work: Work) -> None:
        """All sessions of whoever asks but the one in which they ask. Raises NotAllowed."""
        own(work)
        with self._store.database.write() as tx:
            self._end(tx, work, work.asker.name, _others(tx, work))
        self.sessions.forget()

    def end_all(self, work: Work, name: str) -> None:
        """Every session of this account, those half begun too. Raises NotAllowed, NotFound."""
        keep(work)
        self._change(work, name, "sessions_ended")

    def end_session(self, work: Work, name: str, public_id: str) -> None:
        """One of this account's; others are left alone. Raises NotAllowed."""
        _own_or_admin(work, name)
        with self._store.database.write() as tx:
            own = {each.public_id for each in records.sessions_of(tx, folded_name(name))}
            self._end(tx, work, name, sorted(own & {public_id}))
        self.sessions.forget()

    def _end(self, tx: Connection, work: Work, name: str, public_ids: list[str]) -> None:
        records.end_sessions(tx, public_ids)
        if public_ids:
            self._tell(tx, work, "sessions_ended", _existing(records.account(tx, folded_name(name)), name))

    def all(self, work: Work, text: str = "", *, after: str = "", limit: int | None = None) -> list[Account]:
        """By name, behind the name `after`; with this text in one of the words about them. Raises NotAllowed."""
        keep(work)
        with self._store.database.read() as tx:
            return records.accounts(tx, folded_name(text), after, limit)

    def get(self, work: Work, name: str) -> Account:
        """Raises NotAllowed for others' unless asked by an admin, NotFound."""
        _own_or_admin(work, name)
        with self._store.database.read() as tx:
            return _existing(records.account(tx, folded_name(name)), name)

    def add(
        self,
        work: Work,
        name: str,
        password: str,
        *,
        display: str = "",
        institution: str | None = None,
        roles: frozenset[Role] = frozenset(),
        person: str = "",
        known: bool = True,
    ) -> Account:
        """A new account: a resident's with `person`, else one of the staff.

        `known`: somebody else knows the password, so that the first sign-in chooses another. Raises NotAllowed,
        BadRequest.
        """
        keep(work)
        folded = folded_name(name)
        if not folded or bool(person) == bool(roles):
            raise BadRequest("an account has a name, and either roles or a person")
        kind, hashed = (Kind.PERSON if person else Kind.STAFF), secrets.password_hash(password)
        with self._store.database.write() as tx:
            self._store.database.lock(tx, [f"account:{folded}"])
            if records.account(tx, folded) is not None:
                raise BadRequest(f"there is an account {folded!r}")
            records.add_account(
                tx,
                name=folded,
                display=display or name,
                kind=kind.value,
                institution=institution or "",
                roles=" ".join(sorted(roles)),
                person=person,
                password_hash=hashed,
                password_known=int(known),
                made_at_ms=milliseconds(work.now()),
            )
            made = _existing(records.account(tx, folded), folded)
            self._tell(tx, work, "account_added", made, roles=sorted(roles))
        return made

    def set_password(self, work: Work, name: str, password: str, *, old: str | None = None) -> None:
        """The owner gives the old one, and all other sessions end; an admin resets without, and all end, and the next
        sign-in chooses another.

        Raises NotAllowed, NotFound, BadRequest, NotSignedIn where the old one is wrong.
        """
        hashed = secrets.password_hash(password)
        if old is None:
            keep(work)
        else:
            self._check_own(work, name, old)
        known = old is None and folded_name(name) != work.asker.name
        self._change(work, name, "password_set", password_hash=hashed, password_known=int(known))

    def _check_own(self, work: Work, name: str, old: str) -> None:
        own(work)
        if folded_name(name) != work.asker.name:
            raise NotAllowed("this is somebody else's account")
        allowed = self._attempt(work.asker.name, work.host, work.now())
        with self._store.database.read() as tx:
            kept, _ = records.secrets_of(tx, work.asker.name)
            account = records.account(tx, work.asker.name)
        if not (secrets.password_is(old, kept) and allowed):
            self._refused(account, "password", work.host, work.now(), allowed=allowed)
            raise NotSignedIn(_REFUSED)

    def begin_totp(self, work: Work, password: str) -> None:
        """The session of whoever asks has a new authenticator that awaits its first code.

        Raises NotAllowed, NotSignedIn for a wrong password.
        """
        self._check_own(work, work.asker.name, password)
        with self._store.database.write() as tx:
            for subject in self._limits(work.asker.name, work.host):
                records.set_failures(tx, subject, 0, 0)
            records.enrol(tx, work.asker.session, self._sealing.seal(secrets.new_totp(), work.asker.name))

    def enrolling(self, work: Work) -> str:
        """The key (base32) that awaits its first code in this session; empty for none. Raises NotAllowed."""
        own(work)
        with self._store.database.read() as tx:
            return self._sealing.open(_enrolling(tx, work), work.asker.name)

    def finish_totp(self, work: Work, code: str) -> None:
        """The new authenticator takes the place of the one before, and all other sessions end.

        Raises NotAllowed, NotSignedIn for a wrong code, and where none is being enrolled.
        """
        own(work)
        name, at = work.asker.name, work.now()
        allowed = self._attempt(name, work.host, at)
        with self._store.database.write() as tx:
            key = self._sealing.open(_enrolling(tx, work), name)
            step = secrets.totp_step(key, code, at) if key else None
            good = allowed and step is not None and records.take_step(tx, name, step)
            account = records.account(tx, name)
            if good:
                records.enrol(tx, work.asker.session, "")
        if not good:
            self._refused(account, "code", work.host, at, allowed=allowed)
            raise NotSignedIn(_REFUSED)
        self._change(work, name, "totp_enrolled", totp_secret=self._sealing.seal(key, name))

    def set_roles(self, work: Work, name: str, roles: frozenset[Role]) -> None:
        """Raises NotAllowed, NotFound, BadRequest for a resident's, for none, and for an admin who would be none."""
        keep(work)
        _not_oneself(work, name, Role.ADMIN not in roles)
        if not roles:
            raise BadRequest("a member of the staff has a role")
        self._change(work, name, "roles_set", roles=" ".join(sorted(roles)))

    def bind(self, work: Work, name: str, sub: str) -> None:
        """Whom the provider of the settings calls `sub` signs in as this account.

        Raises NotAllowed, NotFound, BadRequest.
        """
        keep(work)
        issuer, folded = self._store.settings.oidc_issuer, folded_name(name)
        if not issuer or not 1 <= len(sub) <= 255:
            raise BadRequest("there is no provider in the settings (`oidc_issuer`), or no sub of 1 to 255 characters")
        with self._store.database.write() as tx:
            account = _existing(records.account(tx, folded), folded)
            if openid.bound(tx, issuer, sub) is not None or openid.is_bound(tx, issuer, account.pk):
                raise BadRequest("the account or the sub is bound already")
            openid.bind(tx, issuer, sub, account.pk, milliseconds(work.now()), follows=False)
            self._tell(tx, work, "account_bound", account, issuer=issuer, sub=sub)

    def unbind(self, work: Work, name: str) -> None:
        """Nobody of the provider signs in as this account; its sessions end. Raises NotAllowed, NotFound."""
        keep(work)
        issuer, folded = self._store.settings.oidc_issuer, folded_name(name)
        with self._store.database.write() as tx:
            account = _existing(records.account(tx, folded), folded)
            if not openid.unbind(tx, issuer, account.pk):
                raise NotFound(f"{folded} is not bound")
            records.end_sessions(tx, [each.public_id for each in records.sessions_of(tx, folded)])
            self._tell(tx, work, "account_unbound", account, issuer=issuer)
        self.sessions.forget()

    def reset_totp(self, work: Work, name: str) -> None:
        """The authenticator was lost: the next sign-in enrols another. Raises NotAllowed, NotFound."""
        keep(work)
        self._change(work, name, "totp_reset", totp_secret="")

    def set_active(self, work: Work, name: str, *, active: bool) -> None:
        """Raises NotAllowed, NotFound, BadRequest for an admin's own."""
        keep(work)
        _not_oneself(work, name, not active)
        self._change(work, name, "account_enabled" if active else "account_disabled", active=int(active))

    def _change(self, work: Work, name: str, fact: str, **values: Any) -> None:
        """Whatever is changed, who was signed in signs in anew, but in the session in which the owner changes it."""
        folded = folded_name(name)
        with self._store.database.write() as tx:
            account = _existing(records.account(tx, folded), folded)
            if "roles" in values and account.kind is not Kind.STAFF:
                raise BadRequest("a resident has no roles")
            if values:
                records.change_account(tx, folded, **values)
            mine = folded == work.asker.name
            ended = _others(tx, work) if mine else [each.public_id for each in records.sessions_of(tx, folded)]
            records.end_sessions(tx, ended)
            for subject in self._limits(folded, work.host) if mine else [f"account:{folded}"]:
                records.set_failures(tx, subject, 0, 0)
            said = {"roles": values["roles"].split()} if "roles" in values else {}
            self._tell(tx, work, fact, account, **said)
        self.sessions.forget()

    @staticmethod
    def _tell(tx: Connection, work: Work, fact: str, account: Account, **body: Any) -> None:
        """A line of the ledger and one of the audit, without secrets."""
        at, where, by = work.now(), account.institution or "", work.who
        kind = f"access.{fact}"
        ledger.append(tx, at=at, kind=kind, institution=where, subject=account.name, body={"by": by, **body})
        own = bool(work.asker.name) and work.asker.name == account.name
        action = Action.OWN_ACCOUNT if own else Action.KEEP_ACCOUNTS
        decision = decide(work.asker, action, Subject("account"))
        whose = {"kind": "account", "id": account.name, "person": account.person, "institution": where}
        auditing.record_on(tx, work, Looked.of(action, decision, **whose, detail={"fact": fact, **body}))


_SIGN_IN, _SIGN_OUT = "accounts.sign-in", "accounts.sign-out"


def _looked(action: str, account: Account, rule: str, *, allowed: bool, **detail: Any) -> Looked:
    purpose = "HOPERAT" if allowed else ""
    whose = {"person": account.person, "kind": "account", "id": account.name, "institution": account.institution or ""}
    return Looked(action, allowed, rule, purpose, **whose, detail=detail)


def _last_stage(account: Account) -> Stage:
    """After password and code."""
    return Stage.PASSWORD if account.password_known else Stage.FULL


def _existing(account: Account | None, name: str) -> Account:
    if account is None:
        raise NotFound(name)
    return account


def _others(tx: Connection, work: Work) -> list[str]:
    """The sessions of whoever asks, without the one in which they ask."""
    return [each.public_id for each in records.sessions_of(tx, work.asker.name) if each.public_id != work.asker.session]


def _enrolling(tx: Connection, work: Work) -> str:
    here = (each for each in records.sessions_of(tx, work.asker.name) if each.public_id == work.asker.session)
    return next((each.enrolling for each in here), "")


def keep(work: Work) -> None:
    """Raises NotAllowed for whoever keeps no accounts."""
    decision = decide(work.asker, Action.KEEP_ACCOUNTS, Subject("account"))
    if work.asker.kind not in FREE:
        auditing.once(work, Looked.of(Action.KEEP_ACCOUNTS, decision, kind="list"))
    if not decision.allowed:
        raise NotAllowed("accounts are kept by admins")


def own(work: Work) -> None:
    """Raises NotAllowed for whoever has no account."""
    if not work.asker.session or not decide(work.asker, Action.OWN_ACCOUNT, Subject("account")).allowed:
        raise NotAllowed("this is for whoever is signed in")


def _own_or_admin(work: Work, name: str) -> None:
    if folded_name(name) == work.asker.name and work.asker.session:
        own(work)
    else:
        keep(work)


def _not_oneself(work: Work, name: str, loses: bool) -> None:
    if loses and work.asker.session and folded_name(name) == work.asker.name:
        raise BadRequest("ask another admin: nobody locks themselves out")

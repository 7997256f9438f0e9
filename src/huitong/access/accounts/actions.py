"""Signing in and out, and what is done with accounts.

Unknown, wrong, locked and disabled are one answer, after the same work: neither text nor time tells which it was.
An attempt is counted before its password is looked at, so that many at once are no more than many in a row.
"""

from __future__ import annotations

import secrets as random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from huitong.access.accounts import demo, records, secrets
from huitong.access.accounts.model import Account, Session, SignedIn, Stage, folded_name
from huitong.access.accounts.sessions import Sessions
from huitong.access.model import Kind, Role
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

    def sign_in(self, name: str, password: str, host: str) -> SignedIn:
        """The first step. Raises NotSignedIn, in the same words and after the same time whatever was wrong."""
        if not self._store.settings.local_sign_in:
            raise NotSignedIn("sign in at the provider")
        name, at = folded_name(name), self._clock()
        allowed = self._attempt(name, host, at)
        with self._store.database.read() as tx:
            account, (kept, _) = records.account(tx, name), records.secrets_of(tx, name)
        right = secrets.password_is(password, kept) and (password != demo.PASSWORD or self._store.settings.demo)
        if not (allowed and right and account is not None and account.active):
            raise NotSignedIn(_REFUSED)
        return self._begin(account, self._first_stage(account), host, at)

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
            key = waiting.enrolling or records.secrets_of(tx, account.name)[1]
            step = secrets.totp_step(key, code, at) if key else None
            good = allowed and step is not None and records.take_step(tx, account.name, step)
            if good:
                records.end_sessions(tx, [waiting.public_id])
            if good and waiting.stage is Stage.ENROL:
                records.change_account(tx, account.name, totp_secret=key)
                self._tell(tx, at, "totp_enrolled", account, account.name)
        if not good:
            raise NotSignedIn(_REFUSED)
        return self._begin(replace(account, has_totp=True), Stage.FULL, host, at, after=waiting.public_id)

    def begin_provided(self, account: Account, provided: Provided, host: str, *, strong: bool) -> SignedIn:
        """A session of somebody whom a provider has proved; `strong`: with a second factor, so that ours is not asked.

        Only for `access.openid`, which has looked at the proof.
        """
        stage = Stage.FULL if strong else self._first_stage(account)
        return self._begin(account, stage, host, self._clock(), provided=provided)

    def end_provided(self, issuer: str, sub: str, sid: str) -> int:
        """The provider has ended a session (`sid`), or all of somebody's: so many ended here."""
        with self._store.database.write() as tx:
            ended = openid.sessions(tx, issuer, sub, sid)
            records.end_sessions(tx, ended)
            openid.end_sessions(tx, ended)
        self.sessions.forget()
        return len(ended)

    def waiting(self, secret: str) -> Session:
        """The sign-in that awaits its code; raises NotSignedIn when there is none, or no more."""
        with self._store.database.read() as tx:
            found = records.session(tx, secrets.digest(secret))
        late = self._clock() - timedelta(seconds=SIGN_IN.code_s)
        if found is None or found.stage is Stage.FULL or found.began_at < late or not found.account.active:
            raise NotSignedIn("sign in anew")
        return found

    def _first_stage(self, account: Account) -> Stage:
        if account.has_totp:
            return Stage.CODE
        demanded = set(self._store.settings.totp_roles.replace(",", " ").split())
        return Stage.FULL if demanded.isdisjoint(account.roles) else Stage.ENROL

    def _attempt(self, name: str, host: str, at: datetime) -> bool:
        """Whether one more is allowed; it counts as failed until it succeeds."""
        limits = {f"account:{name}": SIGN_IN.account_failures, f"address:{host}": SIGN_IN.address_failures}
        since_ms = milliseconds(at) - SIGN_IN.locked_s * 1000
        with self._store.database.write() as tx:
            self._store.database.lock(tx, limits)
            before = {subject: records.failures(tx, subject, since_ms) for subject in limits}
            allowed = all(before[subject] < limit for subject, limit in limits.items())
            if allowed:  # what is refused anyway must not make the wait longer
                for subject, count in before.items():
                    records.set_failures(tx, subject, count + 1, milliseconds(at))
        return allowed

    def _begin(
        self,
        account: Account,
        stage: Stage,
        host: str,
        at: datetime,
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
                totp_secret=enrolling,
                host=host,
                began_at_ms=at_ms,
                used_at_ms=at_ms,
            )
        return SignedIn(Session(public_id, account, stage, host, at, at, enrolling), secret)

    def sign_out(self, secret: str) -> str | None:
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
        self.sessions.forget()
        return hint

    def sessions_of(self, work: Work, name: str) -> list[Session]:
        """Newest first. Raises NotAllowed for others' unless asked by an admin."""
        _own_or_admin(work, name)
        with self._store.database.read() as tx:
            return [each for each in records.sessions_of(tx, folded_name(name)) if each.stage is Stage.FULL]

    def end_session(self, work: Work, name: str, public_id: str) -> None:
        """One of this account's; others are left alone. Raises NotAllowed."""
        _own_or_admin(work, name)
        with self._store.database.write() as tx:
            own = {each.public_id for each in records.sessions_of(tx, folded_name(name))}
            records.end_sessions(tx, own & {public_id})
        self.sessions.forget()

    def all(self, work: Work) -> list[Account]:
        """Raises NotAllowed."""
        _admin(work)
        with self._store.database.read() as tx:
            return records.accounts(tx)

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
    ) -> Account:
        """A new account: a resident's with `person`, else one of the staff. Raises NotAllowed, BadRequest."""
        _admin(work)
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
                made_at_ms=milliseconds(work.now()),
            )
            made = _existing(records.account(tx, folded), folded)
            self._tell(tx, work.now(), "account_added", made, work.asker.name, roles=sorted(roles))
        return made

    def set_password(self, work: Work, name: str, password: str, *, old: str | None = None) -> None:
        """Ends all sessions of the account. The owner gives the old one, an admin resets without.

        Raises NotAllowed, NotFound, BadRequest, NotSignedIn where the old one is wrong.
        """
        if old is None:
            _admin(work)
        else:
            self._check_own(work, name, old)
        self._change(work, name, "password_set", password_hash=secrets.password_hash(password))

    def _check_own(self, work: Work, name: str, old: str) -> None:
        if not work.asker.name or folded_name(name) != work.asker.name:
            raise NotAllowed("this is somebody else's account")
        allowed = self._attempt(work.asker.name, work.host, work.now())
        with self._store.database.read() as tx:
            kept, _ = records.secrets_of(tx, work.asker.name)
        if not (secrets.password_is(old, kept) and allowed):
            raise NotSignedIn(_REFUSED)

    def set_roles(self, work: Work, name: str, roles: frozenset[Role]) -> None:
        """Raises NotAllowed, NotFound, BadRequest for a resident's."""
        _admin(work)
        self._change(work, name, "roles_set", roles=" ".join(sorted(roles)))

    def bind(self, work: Work, name: str, sub: str) -> None:
        """Whom the provider of the settings calls `sub` signs in as this account.

        Raises NotAllowed, NotFound, BadRequest.
        """
        _admin(work)
        issuer, folded = self._store.settings.oidc_issuer, folded_name(name)
        if not issuer or not 1 <= len(sub) <= 255:
            raise BadRequest("there is no provider in the settings (`oidc_issuer`), or no sub of 1 to 255 characters")
        with self._store.database.write() as tx:
            account = _existing(records.account(tx, folded), folded)
            if openid.bound(tx, issuer, sub) is not None or openid.is_bound(tx, issuer, account.pk):
                raise BadRequest("the account or the sub is bound already")
            openid.bind(tx, issuer, sub, account.pk, milliseconds(work.now()), follows=False)
            self._tell(tx, work.now(), "account_bound", account, work.asker.name, issuer=issuer, sub=sub)

    def unbind(self, work: Work, name: str) -> None:
        """Nobody of the provider signs in as this account; its sessions end. Raises NotAllowed, NotFound."""
        _admin(work)
        issuer, folded = self._store.settings.oidc_issuer, folded_name(name)
        with self._store.database.write() as tx:
            account = _existing(records.account(tx, folded), folded)
            if not openid.unbind(tx, issuer, account.pk):
                raise NotFound(f"{folded} is not bound")
            records.end_sessions(tx, [each.public_id for each in records.sessions_of(tx, folded)])
            self._tell(tx, work.now(), "account_unbound", account, work.asker.name, issuer=issuer)
        self.sessions.forget()

    def reset_totp(self, work: Work, name: str) -> None:
        """The authenticator was lost: the next sign-in enrols another. Raises NotAllowed, NotFound."""
        _admin(work)
        self._change(work, name, "totp_reset", totp_secret="")

    def set_active(self, work: Work, name: str, *, active: bool) -> None:
        """Raises NotAllowed, NotFound."""
        _admin(work)
        self._change(work, name, "account_enabled" if active else "account_disabled", active=int(active))

    def _change(self, work: Work, name: str, fact: str, **values: Any) -> None:
        """Whatever is changed, who was signed in signs in anew."""
        folded = folded_name(name)
        with self._store.database.write() as tx:
            account = _existing(records.account(tx, folded), folded)
            if "roles" in values and account.kind is not Kind.STAFF:
                raise BadRequest("a resident has no roles")
            records.change_account(tx, folded, **values)
            records.end_sessions(tx, [each.public_id for each in records.sessions_of(tx, folded)])
            records.set_failures(tx, f"account:{folded}", 0, 0)
            said = {"roles": values["roles"].split()} if "roles" in values else {}
            self._tell(tx, work.now(), fact, account, work.asker.name, **said)
        self.sessions.forget()

    def _tell(self, tx: Any, at: datetime, fact: str, account: Account, by: str, **body: Any) -> None:
        where = account.institution or ""
        ledger.append(
            tx, at=at, kind=f"access.{fact}", institution=where, subject=account.name, body={"by": by, **body}
        )


def _existing(account: Account | None, name: str) -> Account:
    if account is None:
        raise NotFound(name)
    return account


def _admin(work: Work) -> None:
    if work.asker.kind is not Kind.OPERATOR and not work.asker.has(Role.ADMIN):
        raise NotAllowed("accounts are kept by admins")


def _own_or_admin(work: Work, name: str) -> None:
    if not work.asker.name or work.asker.kind not in (Kind.STAFF, Kind.PERSON) or work.asker.name != folded_name(name):
        _admin(work)

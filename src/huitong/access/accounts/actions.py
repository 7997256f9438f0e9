"""What is done with accounts: by their owners, and by those who keep them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from huitong.access import auditing
from huitong.access.accounts import records, secrets
from huitong.access.accounts.model import Account, Session, Stage, folded_name
from huitong.access.accounts.signing_in import REFUSED, SigningIn
from huitong.access.accounts.telling import tell
from huitong.access.auditing import Looked
from huitong.access.deciding import Action, Subject, decide
from huitong.access.model import FREE, Kind, Role
from huitong.access.openid import records as openid
from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.errors import BadRequest, NotAllowed, NotFound, NotSignedIn


class Accounts(SigningIn):
    """One for each process."""

    def sessions_of(self, work: Work, name: str) -> list[Session]:
        """Newest first. Raises NotAllowed for others' unless asked by an admin."""
        _own_or_admin(work, name)
        with self._store.database.read() as tx:
            return [each for each in records.sessions_of(tx, folded_name(name)) if each.stage is Stage.FULL]

    def end_others(self, work: Work) -> None:
        """All sessions of whoever asks but the one in which they ask. Raises NotAllowed."""
        own(work)
        with self._store.database.write() as tx:
            self._lock(tx, work.asker.name)
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
            self._lock(tx, name)
            own = {each.public_id for each in records.sessions_of(tx, folded_name(name))}
            self._end(tx, work, name, sorted(own & {public_id}))
        self.sessions.forget()

    def _lock(self, tx: Connection, name: str) -> None:
        """No sign-in of the account is half done, and none goes on before this transaction is committed."""
        self._store.database.lock(tx, [records.account_subject(folded_name(name))])

    def _end(self, tx: Connection, work: Work, name: str, public_ids: list[str]) -> None:
        records.end_sessions(tx, public_ids)
        if public_ids:
            tell(tx, work, "sessions_ended", _existing(records.account(tx, folded_name(name)), name))

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
            self._lock(tx, folded)
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
            tell(tx, work, "account_added", made, roles=sorted(roles))
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
            raise NotSignedIn(REFUSED)
        with self._store.database.write() as tx:
            self._store.database.lock(tx, self._limits(work.asker.name, work.host))
            records.set_failures(tx, records.account_subject(work.asker.name), 0, 0)
            records.forgive(tx, records.address_subject(work.host))

    def begin_totp(self, work: Work, password: str) -> None:
        """The session of whoever asks has a new authenticator that awaits its first code.

        Raises NotAllowed, NotSignedIn for a wrong password.
        """
        self._check_own(work, work.asker.name, password)
        with self._store.database.write() as tx:
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
            self._store.database.lock(tx, self._limits(name, work.host))
            key = self._sealing.open(_enrolling(tx, work), name)
            step = secrets.totp_step(key, code, at) if key else None
            good = allowed and step is not None and records.take_step(tx, name, step)
            account = records.account(tx, name)
            if good:
                records.enrol(tx, work.asker.session, "")
                records.forgive(tx, records.address_subject(work.host))
        if not good:
            self._refused(account, "code", work.host, at, allowed=allowed)
            raise NotSignedIn(REFUSED)
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
            self._lock(tx, folded)
            account = _existing(records.account(tx, folded), folded)
            if openid.bound(tx, issuer, sub) is not None or openid.is_bound(tx, issuer, account.pk):
                raise BadRequest("the account or the sub is bound already")
            openid.bind(tx, issuer, sub, account.pk, milliseconds(work.now()), follows=False)
            tell(tx, work, "account_bound", account, issuer=issuer, sub=sub)

    def unbind(self, work: Work, name: str) -> None:
        """Nobody of the provider signs in as this account; its sessions end. Raises NotAllowed, NotFound."""
        keep(work)
        issuer, folded = self._store.settings.oidc_issuer, folded_name(name)
        with self._store.database.write() as tx:
            self._lock(tx, folded)
            account = _existing(records.account(tx, folded), folded)
            if not openid.unbind(tx, issuer, account.pk):
                raise NotFound(f"{folded} is not bound")
            records.end_sessions(tx, [each.public_id for each in records.sessions_of(tx, folded)])
            tell(tx, work, "account_unbound", account, issuer=issuer)
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
            self._lock(tx, folded)
            account = _existing(records.account(tx, folded), folded)
            if "roles" in values and account.kind is not Kind.STAFF:
                raise BadRequest("a resident has no roles")
            if values:
                records.change_account(tx, folded, **values)
            mine = folded == work.asker.name
            ended = _others(tx, work) if mine else [each.public_id for each in records.sessions_of(tx, folded)]
            records.end_sessions(tx, ended)
            records.set_failures(tx, records.account_subject(folded), 0, 0)
            said = {"roles": values["roles"].split()} if "roles" in values else {}
            tell(tx, work, fact, account, **said)
        self.sessions.forget()


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

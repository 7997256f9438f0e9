"""Signing in and out: the steps of a sign-in, what counts attempts, and sessions that begin and end.

Unknown, wrong, locked and disabled are one answer, after the same work: neither text nor time tells which it was.
An attempt is counted before its password is looked at, so that many at once are no more than many in a row.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from huitong.access import auditing
from huitong.access.accounts import demo, records, secrets
from huitong.access.accounts.model import Account, Session, SignedIn, Stage, folded_name
from huitong.access.accounts.sealing import Sealing, is_sealed, sealing
from huitong.access.accounts.sessions import Sessions
from huitong.access.accounts.telling import of_account, tell
from huitong.access.deciding import Decision
from huitong.access.openid import records as openid
from huitong.access.openid.model import Provided, Reason, SignInFailed
from huitong.access.work import Work
from huitong.base.clock import Clock, milliseconds
from huitong.base.errors import BadRequest, NotSignedIn
from huitong.catalog.sign_in import SIGN_IN
from huitong.store.store import Store

REFUSED = "name, password or code is not right, or there were too many attempts"
_SIGN_IN, _SIGN_OUT = "accounts.sign-in", "accounts.sign-out"


class SigningIn:
    """The part of `Accounts` that is for whoever is not signed in yet, or is about to sign out."""

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
            account, (kept, key) = records.account(tx, name), records.secrets_of(tx, name)
        right = secrets.password_is(password, kept) and (password != demo.PASSWORD or self._store.settings.demo)
        if allowed and right and account is not None and account.active:
            stage = self._first_stage(account)
            with self._beginning(self._limits(name, host), at) as tx:
                # The password may have been changed, or the account, while this one was looked at.
                if (records.account(tx, name), records.secrets_of(tx, name)) == (account, (kept, key)):
                    records.forgive(tx, records.address_subject(host))
                    return self._begin(tx, account, stage, host, at, device)
            right = False
        self._refused(account, "disabled" if right else "password", host, at, allowed=allowed)
        raise NotSignedIn(REFUSED)

    def of_demo(self) -> list[Account]:
        """The demo's accounts that there are, to be offered at sign-in; none without the setting `demo`."""
        if not self._store.settings.demo:
            return []
        with self._store.database.read() as tx:
            found = (records.account(tx, name) for name in demo.NAMES)
            return [each for each in found if each is not None and each.active]

    def give_code(self, secret: str, code: str, host: str) -> SignedIn:
        """The second step: a code of the authenticator, or the first of one that is enrolled. Raises NotSignedIn.

        Where one is enrolled, all other sessions of the account end, those half begun too.
        """
        waiting, at = self.waiting(secret), self._clock()
        account, enrols = waiting.account, waiting.stage is Stage.ENROL
        allowed = self._attempt(account.name, host, at)
        with self._beginning(self._limits(account.name, host), at) as tx:
            self._must_be_there(tx, secret)
            kept = records.secrets_of(tx, account.name)[1]
            # Where another sign-in has enrolled one meanwhile, nobody knows whose this one is.
            key = self._sealing.open(kept, account.name) if not enrols else "" if kept else waiting.enrolling
            step = secrets.totp_step(key, code, at) if key else None
            good = allowed and step is not None and records.take_step(tx, account.name, step)
            if good:
                signed_in = self._go_on(tx, waiting, key, host, at)
        if not good:
            self._refused(account, "code", host, at, allowed=allowed)
            raise NotSignedIn(REFUSED)
        if enrols:
            self.sessions.forget()
        return signed_in

    def _go_on(self, tx: Connection, waiting: Session, key: str, host: str, at: datetime) -> SignedIn:
        """After a right code of the authenticator with this key."""
        account = waiting.account
        stage = Stage.FULL if openid.is_session(tx, waiting.public_id) else _last_stage(account)
        ended = [waiting.public_id]
        if waiting.stage is Stage.ENROL:
            ended = [each.public_id for each in records.sessions_of(tx, account.name)]
            tell(tx, self._work(account, waiting.public_id, host, at), "totp_enrolled", account)
        records.end_sessions(tx, ended)
        if not is_sealed(records.secrets_of(tx, account.name)[1]):  # enrolled now, or before there was a key
            records.change_account(tx, account.name, totp_secret=self._sealing.seal(key, account.name))
        records.forgive(tx, records.address_subject(host))
        account = replace(account, has_totp=True)
        return self._begin(tx, account, stage, host, at, waiting.device, after=waiting.public_id)

    @staticmethod
    def _must_be_there(tx: Connection, secret: str) -> None:
        """Raises NotSignedIn where the sign-in under way has been ended, or another request was quicker."""
        if records.session(tx, secrets.digest(secret)) is None:
            raise NotSignedIn("sign in anew")

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
        with self._beginning([records.account_subject(account.name)], at) as tx:
            self._must_be_there(tx, secret)
            records.change_account(tx, account.name, password_hash=hashed, password_known=0)
            records.end_sessions(tx, [each.public_id for each in records.sessions_of(tx, account.name)])
            tell(tx, self._work(account, waiting.public_id, host, at), "password_set", account)
            account = replace(account, password_known=False)
            signed_in = self._begin(tx, account, Stage.FULL, host, at, waiting.device)
        self.sessions.forget()
        return signed_in

    def awaits_password(self, secret: str) -> bool:
        """Whether this sign-in has only another password to be chosen before it opens something."""
        try:
            return bool(self.waiting(secret, Stage.PASSWORD))
        except NotSignedIn:
            return False

    def begin_provided(self, account: Account, provided: Provided, host: str, device: str, *, strong: bool) -> SignedIn:
        """A session of somebody whom a provider has proved; `strong`: with a second factor, so that ours is not asked.

        Only for `access.openid`, which has looked at the proof. Raises SignInFailed where the account has been changed
        since, or is another's.
        """
        proved = replace(account, password_known=False)  # no password was asked for
        stage, at = Stage.FULL if strong else self._first_stage(proved), self._clock()
        with self._beginning([records.account_subject(account.name)], at) as tx:
            bound = openid.bound(tx, provided.issuer, provided.sub)
            if bound is None or bound[0] != account.name or records.account(tx, account.name) != account:
                raise SignInFailed(Reason.STALE, f"{account.name} was changed or unbound a moment ago")
            return self._begin(tx, account, stage, host, at, device, provided=provided)

    def end_provided(self, issuer: str, sub: str, sid: str) -> int:
        """The provider has ended a session (`sid`), or all of somebody's: so many ended here."""
        with self._store.database.write() as tx:
            names = records.names_of(tx, openid.sessions(tx, issuer, sub, sid))
            self._store.database.lock(tx, [records.account_subject(each) for each in names])
            ended = openid.sessions(tx, issuer, sub, sid)  # one may have gone on from its first step meanwhile
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
                    records.touch_failures(tx, records.address_subject(host))
            return
        work = self._work(account, "", host, at)
        if allowed:
            auditing.record(work, of_account(_SIGN_IN, account, Decision(False, rule)))
        else:
            auditing.once(work, of_account(_SIGN_IN, account, Decision(False, "locked")))

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
            allowed = all(before[subject][0] < limit for subject, limit in limits.items())
            if allowed:  # what is refused anyway must not make the wait longer
                for subject, (count, at_ms) in before.items():
                    # Of an address from the first: a hospital is one, and has no quarter of an hour without a mistake.
                    since = at_ms if count and subject == records.address_subject(host) else milliseconds(at)
                    records.set_failures(tx, subject, count + 1, since)
        return allowed

    @staticmethod
    def _limits(name: str, host: str) -> dict[str, int]:
        return {
            records.account_subject(name): SIGN_IN.account_failures,
            records.address_subject(host): SIGN_IN.address_failures,
        }

    @contextmanager
    def _beginning(self, locks: Iterable[str], at: datetime) -> Iterator[Connection]:
        """A transaction in which a session begins, under these locks.

        What is out of date is forgotten first, by all alike: after a line of the audit, one could wait for another.
        """
        at_ms = milliseconds(at)
        oldest_ms = at_ms - round(self._store.settings.session_s * 1000)
        with self._store.database.write() as tx:
            self._store.database.lock(tx, locks)
            records.forget_before(tx, oldest_ms, at_ms - SIGN_IN.locked_s * 1000)
            openid.forget_before(tx, oldest_ms)
            yield tx

    def _begin(
        self,
        tx: Connection,
        account: Account,
        stage: Stage,
        host: str,
        at: datetime,
        device: str,
        *,
        after: str = "",
        provided: Provided | None = None,
    ) -> SignedIn:
        """In the transaction that has made sure, under the lock of the account, that all is still as it was proved.

        `after`: public id of the first step, whose session this one goes on.
        """
        secret, public_id = secrets.new_secret(), random.token_hex(8)
        enrolling = secrets.new_totp() if stage is Stage.ENROL else ""
        at_ms = milliseconds(at)
        openid.carry_on(tx, after, public_id)
        if provided is not None:
            openid.add_session(tx, public_id, provided, at_ms)
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
            records.set_failures(tx, records.account_subject(account.name), 0, at_ms)
            by = "provider" if provided else "authenticator" if account.has_totp else "password"
            looked = of_account(_SIGN_IN, account, Decision(True, by, "HOPERAT"), device=device)
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
                auditing.record_on(tx, work, of_account(_SIGN_OUT, found.account, Decision(True, "session", "HOPERAT")))
        self.sessions.forget()
        return hint


def _last_stage(account: Account) -> Stage:
    """After password and code."""
    return Stage.PASSWORD if account.password_known else Stage.FULL

"""Whose account it is: bound before, or bound or made now, in one transaction with the lines of ledger and audit that
say so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from huitong.access.accounts import records as accounts
from huitong.access.accounts.model import Account, folded_name
from huitong.access.accounts.telling import tell_provided
from huitong.access.model import Asker, Kind
from huitong.access.openid import records
from huitong.access.openid.mapping import Table, Wanted
from huitong.access.openid.model import Provided, Reason, SignInFailed
from huitong.access.work import Work
from huitong.base.clock import Clock, milliseconds
from huitong.store.store import Store


def account_of(store: Store, provided: Provided, table: Table, clock: Clock, host: str) -> Account:
    """An account that may sign in. `host`: address of whoever signs in. Raises SignInFailed."""
    names = _Names.of(table, provided)
    by = Asker(Kind.SYSTEM, provided.issuer, store.settings.oidc_name or provided.issuer)
    work = Work(store, by, "http", host, clock(), False, clock)
    with store.database.write() as tx:
        store.database.lock(tx, [f"provided:{provided.issuer} {provided.sub}", *names.locks])
        found = records.bound(tx, provided.issuer, provided.sub)
        if found is None:
            account = _first(tx, work, provided, names)
        else:
            account = _known(tx, found[0])
            if found[1]:
                account = _follow(tx, work, account, names.wanted)
    if not account.active:
        raise SignInFailed(Reason.NOBODY, f"{account.name} is disabled, or the provider gives it no role any more")
    return account


@dataclass(frozen=True, slots=True)
class _Names:
    """What the claims come to, by the operator's table."""

    #: Of an account that exists; empty for none.
    bound: str
    #: Of one that is to be made.
    new: str
    wanted: Wanted | None

    @classmethod
    def of(cls, table: Table, provided: Provided) -> _Names:
        wanted = table.wanted(provided.claims)
        new = folded_name(wanted.name) if wanted else ""
        return cls(folded_name(table.bound_name(provided.claims)), new, wanted)

    @property
    def locks(self) -> list[str]:
        return [accounts.account_subject(each) for each in (self.bound, self.new) if each]


def _first(tx: Connection, work: Work, provided: Provided, names: _Names) -> Account:
    account = accounts.account(tx, names.bound) if names.bound else None
    if account is None and names.wanted is not None and accounts.account(tx, names.new) is None:
        account = _make(tx, work, names.new, names.wanted)
        _bind(tx, work, provided, account, follows=True)
        return account
    if account is None:
        raise SignInFailed(Reason.NOBODY, "no account here, and none is made of these claims")
    if records.is_bound(tx, provided.issuer, account.pk):
        raise SignInFailed(Reason.NOBODY, f"{account.name} is somebody else's at the provider")
    _bind(tx, work, provided, account, follows=False)
    return account


def _make(tx: Connection, work: Work, name: str, wanted: Wanted) -> Account:
    accounts.add_account(
        tx,
        name=name,
        display=wanted.display,
        kind=Kind.STAFF.value,
        institution=wanted.institution,
        roles=" ".join(sorted(wanted.roles)),
        person="",
        password_hash="",
        made_at_ms=milliseconds(work.at),
    )
    made = _known(tx, name)
    tell_provided(tx, work, "account_added", made, roles=sorted(wanted.roles))
    return made


def _bind(tx: Connection, work: Work, provided: Provided, account: Account, *, follows: bool) -> None:
    records.bind(tx, provided.issuer, provided.sub, account.pk, milliseconds(work.at), follows=follows)
    tell_provided(tx, work, "account_bound", account, issuer=provided.issuer, sub=provided.sub)


def _follow(tx: Connection, work: Work, account: Account, wanted: Wanted | None) -> Account:
    """As the provider's claims have it today; without a role of ours there is nothing left that it may do."""
    roles = wanted.roles if wanted else frozenset()
    institution = (wanted.institution if wanted else account.institution) or ""
    display = wanted.display if wanted else account.display
    if (roles, institution, display) != (account.roles, account.institution or "", account.display):
        said = " ".join(sorted(roles))
        accounts.change_account(tx, account.name, roles=said, institution=institution, display=display)
        if roles != account.roles or institution != (account.institution or ""):
            tell_provided(tx, work, "roles_set", account, roles=sorted(roles), institution=institution)
            # Whoever is signed in elsewhere has what they had before: they sign in anew.
            accounts.end_sessions(tx, [each.public_id for each in accounts.sessions_of(tx, account.name)])
    followed = _known(tx, account.name)
    return followed if roles else _without(followed)


def _without(account: Account) -> Account:
    """One that may not sign in: the change of its roles has to be committed all the same."""
    return replace(account, active=False)


def _known(tx: Connection, name: str) -> Account:
    account = accounts.account(tx, name)
    if account is None:  # rows refer to it
        raise SignInFailed(Reason.NOBODY, name)
    return account

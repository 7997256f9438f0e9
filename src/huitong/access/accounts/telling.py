"""What ledger and audit are told of accounts, without secrets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from huitong.access import auditing
from huitong.access.accounts.model import Account
from huitong.access.auditing import Looked
from huitong.access.deciding import Action, Decision, Subject, decide
from huitong.access.work import Work
from huitong.store import ledger


def tell(tx: Connection, work: Work, fact: str, account: Account, **body: Any) -> None:
    """A line of the ledger and one of the audit: done by whoever asks."""
    own = bool(work.asker.name) and work.asker.name == account.name
    action = Action.OWN_ACCOUNT if own else Action.KEEP_ACCOUNTS
    decision = decide(work.asker, action, Subject("account"))
    _tell(tx, work, work.who, of_account(action, account, decision, fact=fact, **body))


def tell_provided(tx: Connection, work: Work, fact: str, account: Account, **body: Any) -> None:
    """The same, done by the provider, whatever the table of claims made of it."""
    decision = Decision(True, "provider", "SYSADMN")
    _tell(tx, work, "provider", of_account(Action.KEEP_ACCOUNTS, account, decision, fact=fact, **body))


def _tell(tx: Connection, work: Work, by: str, looked: Looked) -> None:
    body = dict(looked.detail)
    kind, said = f"access.{body.pop('fact')}", {"by": by, **body}
    ledger.append(tx, at=work.now(), kind=kind, institution=looked.institution, subject=looked.id, body=said)
    auditing.record_on(tx, work, looked)


def of_account(action: str, account: Account, decision: Decision, **detail: Any) -> Looked:
    """What was decided about the account."""
    whose = {"person": account.person, "kind": "account", "id": account.name, "institution": account.institution or ""}
    return Looked(action, decision.allowed, decision.rule, decision.purpose, **whose, detail=detail)

"""Making, opening and revoking shares: each with its line in ledger and audit, in one transaction.

Unknown, expired, revoked and dead are one answer. A try at a passcode is counted before it is looked at, so that many
at once are no more than many in a row. Whether somebody may share a study, rooms above have decided (`share.make`).
"""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from huitong.access import auditing
from huitong.access.accounts.secrets import digest, new_secret
from huitong.access.auditing import Looked
from huitong.access.model import Asker, Kind
from huitong.access.remembering import forget
from huitong.access.sharing import passcodes, records
from huitong.access.sharing.model import PREFIX, Made, Opened, Share, State, Study, Wish, WrongPasscode
from huitong.access.sharing.sessions import ShareSessions
from huitong.access.work import Work
from huitong.base.clock import Clock, milliseconds
from huitong.base.errors import BadRequest, LinkEnded, NotFound
from huitong.catalog.sharing import SHARING
from huitong.store import ledger
from huitong.store.store import Store
from huitong.wire import shl

#: Below the address of this server: what programs ask is `/shl/{secret}`.
PATH = "/shl/"
_SHOWN = 200
#: Addresses of files are of short life (".files.location links": an hour at most).
_FETCHED_WITHIN = timedelta(minutes=10)
FHIR_JSON = "application/fhir+json"
_Find = Callable[[Connection, str], tuple[Share, str, str] | None]


class Sharing:
    """One for each process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.sessions = ShareSessions(store, clock)

    # --- by the person ---

    def make(self, work: Work, study: Study, wish: Wish, origin: str) -> Made:
        """A link to the study; `origin` is our address as strangers reach it. Raises BadRequest."""
        label = " ".join(wish.label.split())
        offered = SHARING.durations(demo=self._store.settings.demo)
        if wish.lasting not in offered or len(label) > SHARING.label_characters:
            durations = ", ".join(str(each) for each in offered)
            raise BadRequest(f"durations are {durations}; a label has at most {SHARING.label_characters} characters")
        now = work.now()
        until = now + wish.lasting
        manifest, page, token = new_secret(), random.token_urlsafe(16), PREFIX + new_secret()
        key = random.token_bytes(shl.KEY_BYTES)
        passcode = passcodes.new() if wish.has_passcode else ""
        flags = shl.PASSCODE if passcode else ""
        said = shl.HealthLink(f"{origin}{PATH}{manifest}", key, round(until.timestamp()), flags, label, page)
        values = {
            "public_id": random.token_hex(8),
            "person": study.person,
            "sharer": work.asker.person,
            "by": work.asker.name,
            "institution": study.institution,
            "study_uid": study.study_uid,
            "label": label,
            "manifest_sha256": digest(manifest),
            "page_sha256": digest(f"{manifest}.{page}"),
            "token_sha256": digest(token),
            "file": shl.encrypt(study.file(token, until), key, random.token_bytes(shl.IV_BYTES), FHIR_JSON),
            "passcode_hash": passcodes.hashed(passcode) if passcode else "",
            "made_at_ms": milliseconds(now),
            "until_ms": milliseconds(until),
        }
        with self._store.database.write() as tx:
            self._store.database.lock(tx, [f"shares of {study.person}"])
            if records.count_open(tx, study.person, milliseconds(now)) >= SHARING.open_links:
                raise BadRequest(f"there are {SHARING.open_links} open links already: end some of them first")
            share = records.add(tx, **values)
            body = {"study": study.study_uid, "until_ms": values["until_ms"], "passcode": bool(passcode)}
            _tell(tx, work, "access.share_made", share, body)
        return Made(share, shl.write_link(said), passcode)

    def of(self, persons: Sequence[str], sharers: Sequence[str]) -> list[Share]:
        """Links to studies of these persons, or made by these, newest first."""
        with self._store.database.read() as tx:
            return records.of(tx, persons, sharers, _SHOWN)

    def revoke(self, work: Work, share: Share) -> None:
        """It opens nothing any more: here at once, in other processes within two seconds."""
        with self._store.database.write() as tx:
            if records.revoke(tx, share.pk, work.asker.name or work.asker.person, milliseconds(work.now())):
                _tell(tx, work, "access.share_revoked", share, {})
        self.sessions.forget()
        forget(self._store)

    def by_public_id(self, public_id: str) -> Share:
        """Raises NotFound."""
        with self._store.database.read() as tx:
            share = records.by_public_id(tx, public_id)
        if share is None:
            raise NotFound("share")
        return share

    # --- by whoever has the link ---

    def open_page(self, secret: str, passcode: str, host: str) -> Opened:
        """A session of a browser. Raises LinkEnded, WrongPasscode."""
        share, _ = self._admitted(records.by_page, secret, passcode, host, "")
        now, cookie, public_id = self._clock(), new_secret(), random.token_hex(8)
        until = min(share.until, now + SHARING.session)
        with self._store.database.write() as tx:
            records.forget_sessions(tx, milliseconds(now))
            records.add_session(tx, cookie, public_id, share.pk, milliseconds(until))
            records.count_opening(tx, share.pk, milliseconds(now))
        self._audit(share.asker(public_id), host, _opening(share, "share"))
        return Opened(share, until, cookie)

    def open_file(self, secret: str, passcode: str, host: str, recipient: str) -> tuple[Share, str]:
        """The share and its encrypted file, for a program on behalf of `recipient`. Raises LinkEnded, WrongPasscode."""
        share, file = self._admitted(records.by_manifest, secret, passcode, host, recipient)
        with self._store.database.write() as tx:
            records.count_opening(tx, share.pk, milliseconds(self._clock()))
        asker = share.asker(f"{share.public_id}-token")
        self._audit(asker, host, _opening(share, "share", recipient=recipient))
        return share, file

    def leave_file(self, share: Share, file: str) -> str:
        """For whoever wants no file in the manifest itself: a word by which it is fetched once, within minutes."""
        secret, now = new_secret(), self._clock()
        with self._store.database.write() as tx:
            records.forget_files(tx, milliseconds(now))
            records.add_file(tx, secret, share.pk, file, milliseconds(now + _FETCHED_WITHIN))
        return secret

    def fetch_file(self, secret: str) -> str:
        """What was left, as long as its share is open. Raises LinkEnded."""
        at = self._clock()
        with self._store.database.write() as tx:
            found = records.take_file(tx, secret, milliseconds(at))
        if found is None or found[0].state(at) is not State.OPEN:
            raise LinkEnded()
        return found[1]

    def _admitted(self, find: _Find, secret: str, passcode: str, host: str, recipient: str) -> tuple[Share, str]:
        """The share and its file. Raises LinkEnded, WrongPasscode."""
        with self._store.database.write() as tx:
            found = find(tx, secret)
            if found is not None and found[0].has_passcode:
                self._store.database.lock(tx, [f"share {found[0].pk}"])
                found = find(tx, secret)  # as whoever held the lock left it
            state = found[0].state(self._clock()) if found is not None else None
            if found is not None and state is State.OPEN and found[0].has_passcode:
                records.count_wrong(tx, found[0].pk, 1)
        if found is None or state is not State.OPEN:
            self._refuse(found[0] if found else None, host, state.value if state else "unknown", recipient)
            raise LinkEnded()
        share, kept, file = found
        if share.has_passcode:
            if not passcodes.is_right(passcode, kept):
                self._refuse(share, host, "passcode", recipient)
                raise WrongPasscode(SHARING.passcode_tries - share.wrong_passcodes - 1)
            with self._store.database.write() as tx:
                records.count_wrong(tx, share.pk, -1)
        return share, file

    def _refuse(self, share: Share | None, host: str, why: str, recipient: str) -> None:
        asker = share.asker("") if share else Asker(Kind.SHARE, host)
        self._audit(asker, host, _opening(share, why, allowed=False, recipient=recipient))

    def _audit(self, asker: Asker, host: str, looked: Looked) -> None:
        work = Work(self._store, asker, "http", host, self._clock(), may_send=False, clock=self._clock)
        # Guesses of one address are one line a day; each try at a link that there is, is one of its own.
        (auditing.record if looked.person else auditing.once)(work, looked)


def _opening(share: Share | None, rule: str, *, allowed: bool = True, recipient: str = "") -> Looked:
    whose: dict[str, Any] = {"kind": "share", "detail": {"recipient": recipient} if recipient else {}}
    if share is not None:
        whose |= {"person": share.person, "id": share.public_id, "institution": share.institution}
    return Looked("share.open", allowed, rule, "PATRQT" if allowed else "", **whose)


def _tell(tx: Connection, work: Work, kind: str, share: Share, body: dict[str, Any]) -> None:
    said = {"by": work.asker.name or work.asker.person, "share": share.public_id, **body}
    ledger.append(tx, at=work.now(), kind=kind, institution=share.institution, subject=share.person, body=said)

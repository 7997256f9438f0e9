"""The links that a person has given away, for the person and for a child's guardian: seen, and ended."""

from __future__ import annotations

from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.deciding import Action
from huitong.access.sharing.actions import Sharing
from huitong.access.sharing.model import Share
from huitong.access.work import Work
from huitong.base.errors import NotFound
from huitong.people import permitting
from huitong.people.relations import ids_of, wards_of


def shares(work: Work, sharing: Sharing) -> list[Share]:
    """To studies of the asker and of children for whom they act, and what else they have shared; newest first.

    Raises NotFound for whoever is no resident.
    """
    return sharing.of(*_whose(work))


def revoke(work: Work, sharing: Sharing, public_id: str) -> None:
    """One of `shares` opens nothing any more. Raises NotFound."""
    persons, own = _whose(work)
    share = sharing.by_public_id(public_id)
    if share.person not in persons and share.sharer not in own:
        raise NotFound("share")
    sharing.revoke(work, share)
    rule = "self" if share.person in own else "guardian"
    looked = Looked("share.end", True, rule, "PATRQT", share.person, "share", share.public_id, share.institution)
    auditing.record(work, looked)


def _whose(work: Work) -> tuple[list[str], list[str]]:
    """Exchange ids of those whose links they see, and of themselves. Raises NotFound."""
    permitting.permit_person(work, work.asker.person, Action.SHARE)
    with work.store.database.reading() as session:
        own = ids_of(session, work.asker.person)
        wards = [each for ward in wards_of(session, work.asker, work.now()) for each in ids_of(session, ward)]
    return own + wards, own

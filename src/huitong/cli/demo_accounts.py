"""Who can sign in to the demo."""

from __future__ import annotations

from huitong.access.accounts.demo import PASSWORD, RESIDENT, RESIDENT_DISPLAY, STAFF
from huitong.access.actions import Access
from huitong.cli.phantom import ct
from huitong.cli.phantom.header import TAIYUAN
from huitong.people.actions import person_of


def add_demo_accounts(access: Access) -> None:
    """Those that are not there yet; the resident's once his images have made him known."""
    accounts, work = access.accounts, access.local()
    there = {each.name for each in accounts.all(work)}
    for each in STAFF:
        if each.name not in there:
            accounts.add(
                work,
                each.name,
                PASSWORD,
                display=each.display,
                institution=each.institution,
                roles=each.roles,
                known=False,
            )
    person = person_of(work, TAIYUAN.code, ct.PATIENT.number)
    if person is not None and RESIDENT not in there:
        accounts.add(work, RESIDENT, PASSWORD, display=RESIDENT_DISPLAY, person=person.exchange_id, known=False)

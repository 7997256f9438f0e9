"""What the demo shows of who may see what: asked over HTTP by the people of the demo, as a browser asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from huitong.access.accounts.demo import PASSWORD, STAFF
from huitong.base.setting_kinds import Address
from huitong.cli.asking import ask, sign_in
from huitong.cli.phantom.header import TAIYUAN, YUNCHENG, uid
from huitong.cli.phantom.messages import consultation
from huitong.cli.sending import send_messages

NAMES = {each.name: f"{each.display} ({each.institution or 'health commission'})" for each in STAFF}
#: Whose visit Yuncheng tells of, and who is not treated anywhere but there.
THERE, HERE = "xuewenjing", "limingyuan"


def tell_story(http: Address, mllp: Address, say: Callable[[str], None]) -> bool:
    """A doctor opens another hospital's CT because a visit is open; without one it is refused. Whether it was so."""
    doctor, other = (sign_in(http, name, PASSWORD) for name in (THERE, HERE))
    study = _study(TAIYUAN.code, uid("CT", 1, "study"))
    before = _status(http, study, doctor)
    send_messages(mllp, [consultation(datetime.now(UTC))])
    after = _status(http, study, doctor)
    elsewhere = _status(http, _study(YUNCHENG.code, uid("MR", 11, "study")), other)
    say("\n王晓东 is in Yuncheng, where a doctor asks for the CT that Taiyuan made of him:")
    say(f"  {NAMES[THERE]:<28} {_said(before)}, as {'one' if before == HTTPStatus.OK else 'no'} visit is known")
    say(f"  {'HIS of YUNCHENG':<28} ADT^A04, he is registered as an outpatient: AA")
    say(f"  {NAMES[THERE]:<28} {_said(after)}, as a visit is open")
    say(f"  {NAMES[HERE]:<28} asks for his MR of Yuncheng: {_said(elsewhere)}, as he is not treated in Taiyuan")
    return after == HTTPStatus.OK and elsewhere == HTTPStatus.NOT_FOUND


def _study(institution: str, study_uid: str) -> str:
    return f"/dicom-web/at/{institution}/studies/{study_uid}/metadata"


def _said(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _status(http: Address, path: str, cookie: str) -> int:
    return ask(http, "GET", path, cookie=cookie).status

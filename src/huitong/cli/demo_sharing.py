"""What the demo shows of sharing: a patient sees who looked, gives a study to a stranger, and the stranger's link ends.

Asked over HTTP as the pages ask, and as a program asks that opens SMART Health Links.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from http import HTTPStatus

from huitong.access.accounts.demo import PASSWORD, RESIDENT, RESIDENT_DISPLAY
from huitong.base.setting_kinds import Address
from huitong.catalog.sharing import SHARING
from huitong.cli.asking import Answer, ask, post, sign_in
from huitong.cli.demo_story import HERE, NAMES, THERE
from huitong.cli.phantom.header import TAIYUAN, YUNCHENG, uid
from huitong.cli.sending import SendingFailed
from huitong.wire import shl

_CT = f"{TAIYUAN.code}/studies/{uid('CT', 1, 'study')}"
_MR = f"{YUNCHENG.code}/studies/{uid('MR', 11, 'study')}"
_MASKED = f"{RESIDENT_DISPLAY[0]}*{RESIDENT_DISPLAY[-1]}"
_VISIT = re.compile(r'<li (class="refused")?>\s*<p class="when">.*?<b>([^<]*)</b>', re.DOTALL)
#: Answers to what the stranger asks (`_Stranger.sees`) while the link lasts, and when it has ended.
_WHILE = [200, 200, 200, 404, 200, 404]
_AFTER = [404, 404, 404, 404, 401, 401]
#: For pages whose words are looked at.
_CHINESE = {"accept_language": "zh-CN"}


@dataclass(frozen=True, slots=True)
class _Link:
    """What the patient gives away."""

    said: shl.HealthLink
    passcode: str

    @property
    def secret(self) -> str:
        return f"{self.said.url.rpartition('/')[2]}.{self.said.page}"


@dataclass(frozen=True, slots=True)
class _Stranger:
    """What somebody without an account sees with a link."""

    http: Address
    link: _Link
    #: Of the browser in which the link was opened, and of the program.
    cookies: str
    token: str

    def sees(self) -> dict[str, int]:
        """Status of what is asked, by what it is."""
        cookie, bearer = {"cookie": self.cookies}, {"authorization": f"Bearer {self.token}"}
        return {
            "opens the link": _open(self.http, self.link, self.link.passcode).status,
            "opens it by a program": _manifest(self.http, self.link).status,
            "looks at the CT": ask(self.http, "GET", _page(_CT), **cookie, **_CHINESE).status,
            "looks at his MR": ask(self.http, "GET", _page(_MR), **cookie, accept="text/html").status,
            "fetches the CT": ask(self.http, "GET", f"/dicom-web/at/{_CT}/metadata", **bearer).status,
            "fetches his MR": ask(self.http, "GET", f"/dicom-web/at/{_MR}/metadata", **bearer).status,
        }


def tell_sharing(http: Address, say: Callable[[str], None]) -> bool:
    """Whether all of it was as it should be; takes as long as the shortest link lasts. Raises SendingFailed."""
    patient = {"cookie": sign_in(http, RESIDENT, PASSWORD), **_CHINESE}
    page = _body(http, "/me/looked", patient)
    looked, refused = (_names(page, refused) for refused in (False, True))
    say(f"\n{RESIDENT_DISPLAY} signs in and reads at http://{http}/me/looked who opened his records:")
    say(f"  {', '.join(looked)} did; {', '.join(refused)} tried and were refused")
    good = NAMES[THERE] in looked and NAMES[HERE] in refused

    link = _share(http, patient)
    wrong = _open(http, link, _other(link.passcode)).status
    stranger = _arrive(http, link)
    name = _name_on(http, stranger)
    page = _body(http, _page(_CT), {"cookie": stranger.cookies, **_CHINESE})
    masked = _MASKED in page and RESIDENT_DISPLAY not in page
    say(f"He shares the CT for {SHARING.demo_seconds} seconds. A stranger has the link, and no account:")
    say(f"  with a wrong passcode     {wrong} {HTTPStatus(wrong).phrase}")
    now = stranger.sees()
    _wait_until(link.said.expires or 0)
    then = stranger.sees()
    for what, status in now.items():
        say(f"  {what:<24}  {_said(status)}; when the time is over {_said(then[what])}")
    say(f"  the name on the pictures  {name}")
    listed = _body(http, "/me/shares", patient)
    newest = listed.partition('<li class="right ')[2].partition("</li>")[0]
    ended = newest.startswith("is-expired") and "已打开 4 次" in newest
    state = "has expired, and how often it was opened" if ended else "is still in force"
    say(f"At http://{http}/me/shares he sees that the link {state}.")
    seen = wrong == HTTPStatus.UNAUTHORIZED and list(now.values()) == _WHILE and list(then.values()) == _AFTER
    return good and seen and ended and name == _MASKED and masked


def _page(study: str) -> str:
    return "/look/" + study.replace("/studies/", "/")


def _names(page: str, refused: bool) -> list[str]:
    """Of the demo's staff on the page of who looked, those who did or those who were refused."""
    names = {name for is_refused, name in _VISIT.findall(page) if bool(is_refused) is refused}
    return [told for told in NAMES.values() if told.partition(" ")[0] in names]


def _body(http: Address, path: str, headers: dict[str, str]) -> str:
    answer = ask(http, "GET", path, **headers)
    if answer.status != HTTPStatus.OK:
        raise SendingFailed(f"{path}: {answer.status}")
    return answer.body.decode()


def _share(http: Address, patient: dict[str, str]) -> _Link:
    """What the page shows once. Raises SendingFailed."""
    path = "/me/share/" + _CT.replace("/studies/", "/")
    form = {"seconds": str(SHARING.demo_seconds), "passcode": "yes", "label": "第二意见"}
    page = post(http, path, form, **patient).body.decode()
    link = re.search(r"<textarea[^>]*>([^<]*)</textarea>", page)
    digits = re.search(r"<strong>(\d+) (\d+)</strong>", page)
    if link is None or digits is None:
        raise SendingFailed("the patient got no link")
    return _Link(shl.read_link(unescape(link[1])), digits[1] + digits[2])


def _other(passcode: str) -> str:
    return f"{(int(passcode) + 1) % 10 ** len(passcode):0{len(passcode)}}"


def _open(http: Address, link: _Link, passcode: str) -> Answer:
    """As the page's script does with what stands behind the `#`."""
    body = json.dumps({"secret": link.secret, "passcode": passcode})
    return ask(http, "POST", "/share/open", body, content_type="application/json", origin=f"http://{http}")


def _arrive(http: Address, link: _Link) -> _Stranger:
    """A browser and a program in which the link is open. Raises SendingFailed."""
    browser = _open(http, link, link.passcode)
    program = _manifest(http, link)
    if (browser.status, program.status) != (HTTPStatus.OK, HTTPStatus.OK):
        raise SendingFailed(f"the link opens nothing: {browser.status}, {program.status}")
    held = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return _Stranger(http, link, held, _token(json.loads(program.body), link))


def _manifest(http: Address, link: _Link) -> Answer:
    """As a program asks that knows SMART Health Links."""
    body = json.dumps({"recipient": "A hospital elsewhere", "passcode": link.passcode})
    return ask(http, "POST", f"/shl/{link.said.url.rpartition('/')[2]}", body, content_type="application/json")


def _token(manifest: dict[str, list[dict[str, str]]], link: _Link) -> str:
    """Of the file in the manifest: what goes with the DICOMweb endpoint."""
    file, _ = shl.decrypt(manifest["files"][0]["embedded"], link.said.key)
    found = re.search(rb"Bearer ([\w-]+)", file)
    return found[1].decode() if found else ""


def _name_on(http: Address, stranger: _Stranger) -> str:
    """The patient's name, as the program reads it."""
    told = {"authorization": f"Bearer {stranger.token}"}
    answer = ask(http, "GET", f"/dicom-web/at/{_CT}/metadata", **told)
    names = json.loads(answer.body)[0]["00100010"]["Value"][0] if answer.status == HTTPStatus.OK else {}
    return str(names.get("Ideographic", "")).replace("^", "")


def _said(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _wait_until(expires: int) -> None:
    time.sleep(max(0.0, expires + 1 - datetime.now(UTC).timestamp()))

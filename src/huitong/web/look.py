"""What all pages share: the templates, and how dates, ages, names and sizes are written.

Pure but for reading the templates; the functions below take DICOM values as stored and never fail on odd ones: a date
that is none is shown as it was sent.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from huitong.base.clock import CHINA
from huitong.web.headers import PAGE_POLICY
from huitong.web.i18n import LANGUAGES, Language, language_of

HERE = Path(__file__).parent
#: Study dates are local dates of the senders (PS3.5 6.2, DA).
_DA = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})$")
_TM = re.compile(r"(\d{2}):?(\d{2})")


def dicom_date(text: str) -> date | None:
    """The date of a DA value (also the dotted form of ACR-NEMA); None when it is none."""
    found = _DA.match(text.strip())
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def shown_date(text: str) -> str:
    """2026-11-22, or what was sent instead of a date."""
    day = dicom_date(text)
    return day.isoformat() if day else text.strip()


def shown_time(text: str) -> str:
    """14:03, or nothing."""
    found = _TM.match(text.strip())
    return f"{found[1]}:{found[2]}" if found else ""


def shown_moment(moment: datetime) -> str:
    """2026-11-22 14:03 in China."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


def age(birth_date: str, at_date: str) -> tuple[int, str] | None:
    """(number, "Y" | "M" | "D") at the time of the study, in the units of PS3.5 AS; None when not known.

    Months below two years and days below two months, as paediatricians count.
    """
    born, day = dicom_date(birth_date), dicom_date(at_date)
    if born is None or day is None or born > day:
        return None
    months = (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)
    if months >= 24:
        return months // 12, "Y"
    return (months, "M") if months >= 2 else ((day - born).days, "D")


def shown_size(size_bytes: int) -> str:
    """With three significant digits and its unit, in powers of 1000."""
    size, units = float(size_bytes), iter(("kB", "MB", "GB", "TB"))
    if size < 1000:
        return f"{size_bytes} B"
    unit = ""
    while size >= 1000 and (unit_ := next(units, None)):
        size, unit = size / 1000, unit_
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def shown_name(name: str) -> str:
    """A PN value's group, or a name from elsewhere, as people read it: 王小东, Wang Xiaodong."""
    return " ".join(name.replace("^", " " if name.isascii() else "").split())


def viewer_url(study_uid: str, institution: str = "") -> str:
    """Where OHIF shows the study; with `institution` exactly the one that this institution sent."""
    query = {"StudyInstanceUIDs": study_uid}
    return "/viewer?" + urlencode(query | ({"institution": institution} if institution else {}))


def light_url(institution: str, study_uid: str) -> str:
    """Where the light page, for phones, shows the study."""
    return f"/look/{quote(institution, safe='')}/{quote(study_uid, safe='')}"


def own_path(target: str) -> str:
    """The path to go to if it is one of our own, else that of the list: no link leads from here to another site."""
    plain = target.isprintable() and not target.startswith(("//", "/\\"))
    return target if target.startswith("/") and plain else "/"


def dicomweb_url(institution: str, *parts: str) -> str:
    """`/dicom-web/at/TAIYUAN/studies/…`."""
    return "/".join(["/dicom-web/at", quote(institution, safe=""), *(quote(part, safe="") for part in parts)])


@cache
def static_url(name: str) -> str:
    """The path of one of our own files with its digest, so that browsers keep it for good and never too long."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "day": shown_date,
        "time": shown_time,
        "moment": shown_moment,
        "size": shown_size,
        "name": shown_name,
    }
    environment.globals |= {
        "language": language,
        "languages": list(LANGUAGES.values()),
        "age": age,
        "viewer_url": viewer_url,
        "light_url": light_url,
        "dicomweb_url": dicomweb_url,
        "static_url": static_url,
        "version": version("huitong"),
    }
    return environment


_ENVIRONMENTS = {tag: _environment(language) for tag, language in LANGUAGES.items()}


def answer(request: Request, template: str, status_code: int = 200, /, **values: Any) -> Response:
    """The page with what every page is sent with. It may have names: no cache keeps it, nor the browser's."""
    html = page(request, template, **values)
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(html, status_code, headers)


def page(request: Request, template: str, **values: Any) -> str:
    """The page in the reader's language."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    asker = getattr(request.state, "asker", None)
    template_of = _ENVIRONMENTS[language_of(request).tag].get_template
    return template_of(template).render(request=request, here=here, asker=asker, **values)

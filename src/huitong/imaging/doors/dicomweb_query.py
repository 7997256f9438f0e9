"""QIDO-RS: searches (PS3.18 10.6)."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_from_bytes

import orjson
from starlette.responses import Response

from huitong.base.errors import NotAcceptable
from huitong.imaging import actions
from huitong.imaging.doors.answers import REVALIDATED, VARY
from huitong.imaging.doors.dicomweb_call import Call
from huitong.imaging.doors.dicomweb_xml import XML, xml_parts
from huitong.wire.accept import first_of
from huitong.wire.qido import parse_qido, prefers_exact_count
from huitong.wire.query import Found, Level

#: Of their own, so that slow searches keep nobody waiting but other searches; as many as sessions are kept open.
_SEARCHES = ThreadPoolExecutor(16, "search")
DICOM_JSON = "application/dicom+json"
JSON_TYPES = (DICOM_JSON, "application/json")
_UIDS = {Level.STUDY: ("0020000D",), Level.SERIES: ("0020000D", "0020000E")}
_INSTANCE_UIDS = ("0020000D", "0020000E", "00080018")


def searching(level: Level) -> Callable[[Call], Awaitable[Response]]:
    """The handler of searches at `level`."""

    async def search(call: Call) -> Response:
        return await _search(call, level)

    return search


async def _search(call: Call, level: Level) -> Response:
    media_type = json_or_xml(call)
    prefer = call.request.headers.get("prefer", "")
    query = parse_qido(
        call.request.scope["query_string"],
        level,
        study_uid=call.parts.get("study"),
        series_uid=call.parts.get("series"),
        institution=call.institution,
        prefer=prefer,
    )
    carried = contextvars.copy_context()
    found = await asyncio.get_running_loop().run_in_executor(_SEARCHES, carried.run, actions.find, call.work, query)
    for row in found.rows:
        row["00081190"] = {"vr": "UR", "Value": [call.url(*_uids(row, level))]}
    headers = _counting(call, found)
    if prefers_exact_count(prefer):
        headers["Preference-Applied"] = "count=exact"
    if media_type == XML:
        return xml_parts(found.rows, headers)
    return Response(orjson.dumps(found.rows), 200, headers, media_type)


def json_or_xml(call: Call) -> str:
    """The media type of data sets that the client prefers. Raises NotAcceptable.

    XML comes in multipart only (PS3.18 8.7.3.2); a parameterless `*/*` means JSON.
    """
    for choice in call.accepted:
        if choice.multipart and choice.media_type == XML:
            return XML
        if (media_type := first_of([choice], JSON_TYPES)) is not None:
            return media_type
    raise NotAcceptable(f"there is {DICOM_JSON}, and multipart/related; type={XML}")


def _uids(row: dict[str, Any], level: Level) -> list[str]:
    return [row[tag]["Value"][0] for tag in _UIDS.get(level, _INSTANCE_UIDS)]


def _counting(call: Call, found: Found) -> dict[str, str]:
    """How many there are, and where the next page is (RFC 8288; PS3.18 8.3.4.4 for the warning)."""
    headers = {"Cache-Control": REVALIDATED, "Vary": VARY}
    if found.total is not None:
        headers["X-Total-Count"] = str(found.total)
    else:
        headers["X-Total-Count-At-Least"] = str(found.at_least)
    if found.next is not None:
        headers["Link"] = f'<{_next_page(call, found.next)}>; rel="next"'
        headers["Warning"] = '299 huitong "There are additional results that can be requested"'
    return headers


def _next_page(call: Call, cursor: str) -> str:
    fields = call.request.scope["query_string"].split(b"&")
    kept = [field for field in fields if field and field.partition(b"=")[0].lower() not in (b"after", b"offset")]
    after = b"after=" + quote_from_bytes(cursor.encode(), safe="").encode()
    url = call.request.url
    return f"{url.scheme}://{url.netloc}{url.path}?{b'&'.join([*kept, after]).decode('latin-1')}"

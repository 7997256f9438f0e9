"""Metadata of studies, series and instances (PS3.18 10.4.1.1.2): made at ingest, sent as it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson
from anyio.to_thread import run_sync
from starlette.responses import Response

from huitong.imaging import actions
from huitong.imaging.doors.answers import IMMUTABLE, REVALIDATED, VARY, quoted, unchanged
from huitong.imaging.doors.dicomweb_call import Call
from huitong.imaging.doors.dicomweb_query import json_or_xml
from huitong.imaging.doors.dicomweb_xml import XML, xml_parts

_REFUSED = re.compile(r"q=0(\.0{0,3})?")
#: In an instance's own metadata a relative address is resolved against the instance (RFC 3986 5.2).
_INSTANCE_URI = re.compile(rb'"BulkDataURI":"instances/[^"/]*/')


async def many(call: Call) -> Response:
    """Of a whole study or series: the gzip member that was made at ingest, or inflated for those who take none."""
    media_type = json_or_xml(call)
    work, study, series = call.work, call.parts["study"], call.parts.get("series")
    made = await run_sync(actions.metadata, work, study, series, call.institution)
    headers = {"Cache-Control": REVALIDATED, "Vary": f"{VARY}, Accept-Encoding"}
    if media_type == XML:
        text = await run_sync(actions.metadata_text, work, made)
        return await run_sync(lambda: xml_parts(orjson.loads(text), headers))
    packed = takes_gzip(call.request.headers.getlist("accept-encoding"))
    # Two byte sequences are two representations: each has a validator of its own (RFC 9110 8.8.3.3).
    etag = f"{made.etag}-gzip" if packed else made.etag
    known = unchanged(call.request, etag, headers)
    if known is not None:
        return known
    headers["ETag"] = quoted(etag)
    if packed:
        headers["Content-Encoding"] = "gzip"
    body = made.gzipped if packed else await run_sync(actions.metadata_text, work, made)
    return _json(call, body, headers, media_type)


async def one(call: Call) -> Response:
    """Of one instance: an array of one."""
    media_type = json_or_xml(call)
    stored = await call.stored()
    header = await run_sync(actions.header, call.work, stored)
    headers = {"Cache-Control": IMMUTABLE, "Vary": VARY}
    text = _INSTANCE_URI.sub(b'"BulkDataURI":"', orjson.dumps([header]))
    if media_type == XML:
        return xml_parts(orjson.loads(text), headers)
    etag = f"{stored.sha256[:32]}-metadata"
    known = unchanged(call.request, etag, headers)
    return known or _json(call, text, {**headers, "ETag": quoted(etag)}, media_type)


def _json(call: Call, body: bytes, headers: Mapping[str, str], media_type: str) -> Response:
    return Response(body, 200, headers, media_type)


def takes_gzip(fields: list[str]) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110 12.5.3)."""
    for coding in ",".join(fields).lower().split(","):
        name, _, parameters = coding.partition(";")
        if name.strip() in ("gzip", "x-gzip", "*"):
            return not _REFUSED.fullmatch(parameters.replace(" ", ""))
    return False

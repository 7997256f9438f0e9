"""Signed links to where stored objects lie, for who fetches much: an extension (docs/conformance/dicomweb.md)."""

from __future__ import annotations

from anyio.to_thread import run_sync
from starlette.responses import JSONResponse, Response

from huitong.imaging import actions
from huitong.imaging.doors.dicomweb_call import Call


async def links(call: Call) -> Response:
    """Of the instances of a study or series, or of one, a URL and the range of bytes in it, or null."""
    parts = call.parts
    named = (parts["study"], parts.get("series"), parts.get("instance"))
    found = await run_sync(actions.links, call.work, *named, call.institution)
    rows = [
        {
            "StudyInstanceUID": link.stored.study_uid,
            "SeriesInstanceUID": link.stored.series_uid,
            "SOPInstanceUID": link.stored.sop_instance_uid,
            "AvailableTransferSyntaxUID": link.stored.transfer_syntax_uid,
            "url": link.url,
            "offset": link.stored.blob_offset,
            "length": link.stored.size_bytes,
            "expires": link.expires_at.isoformat() if link.url else None,
        }
        for link in found
    ]
    return JSONResponse(rows, headers={"Cache-Control": "no-store"})

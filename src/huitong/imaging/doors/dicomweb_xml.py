"""Data sets as multipart XML, for clients of PS3.18's older kind."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from huitong.wire.multipart import MultipartWriter
from huitong.wire.native_model import native_xml

XML = "application/dicom+xml"


def xml_parts(datasets: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> Response:
    """One part for each data set; 204 where there is none, for a multipart body has at least one (RFC 2046 5.1)."""
    if not datasets:
        return Response(status_code=204, headers=headers)
    writer = MultipartWriter(secrets.token_hex(16).encode())
    pieces = []
    for number, dataset in enumerate(datasets):
        pieces += [writer.head({"Content-Type": XML}, first=number == 0), native_xml(dataset)]
    return Response(b"".join([*pieces, writer.tail]), 200, headers, writer.content_type(XML))

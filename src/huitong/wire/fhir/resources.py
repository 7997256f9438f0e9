"""The small parts of which FHIR resources are made (FHIR R4 2.24, data types). A resource is a dict, as JSON has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Resource = dict[str, Any]

MEDIA_TYPE = "application/fhir+json"
VERSION = "4.0.1"
#: What a client may name to get JSON, in Accept and in `_format` (FHIR R4 3.1.0.1.11).
JSON_TYPES = (MEDIA_TYPE, "application/json", "text/json")
#: FHIR R4 2.24.0.1, id.
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def filled(resource: Mapping[str, Any]) -> Resource:
    """Without what is empty, which FHIR does not allow (R4 2.6.2): None, "", [] and {}; False and 0 stay."""
    return {name: value for name, value in resource.items() if value not in (None, "", [], {})}


def instant(at_ms: int) -> str:
    """Milliseconds since 1970 UTC as a FHIR instant."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def meta(version: int, changed_at_ms: int) -> Resource:
    """Without a time (0) where none is known."""
    return {"versionId": str(version), **({"lastUpdated": instant(changed_at_ms)} if changed_at_ms else {})}


def identifier(system: str, value: str, use: str = "") -> Resource:
    return filled({"use": use, "system": system, "value": value})


def coding(system: str, code: str, display: str = "") -> Resource:
    return filled({"system": system, "code": code, "display": display})


def concept(*codings: Resource, text: str = "") -> Resource:
    return filled({"coding": [each for each in codings if each], "text": text})


def reference(resource_type: str, logical_id: str, display: str = "") -> Resource:
    return filled({"reference": f"{resource_type}/{logical_id}", "display": display})


def extension(url: str, kind: str, value: Any) -> Resource:
    """`kind` is the type as it stands in the element's name, as in `valueCode`: "Code"."""
    return {"url": url, f"value{kind}": value}


def period(start: str, end: str) -> Resource:
    """Of dates YYYYMMDD, either empty for an open end."""
    return filled({"start": dashed(start), "end": dashed(end)})


def dashed(day: str) -> str:
    """YYYYMMDD as a FHIR date."""
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}" if day else ""


def parameter_of(parameters: Mapping[str, Any], name: str) -> Resource | None:
    """The first part of this name of a Parameters resource (FHIR R4 2.38)."""
    return next(iter(parameters_of(parameters, name)), None)


def parameters_of(parameters: Mapping[str, Any], name: str) -> list[Resource]:
    """All parts of this name of a Parameters resource."""
    parts = parameters.get("parameter")
    each_part = parts if isinstance(parts, list) else []
    return [part for part in each_part if isinstance(part, dict) and part.get("name") == name]


def parameters(parts: Iterable[Resource]) -> Resource:
    """A Parameters resource."""
    return filled({"resourceType": "Parameters", "parameter": list(parts)})

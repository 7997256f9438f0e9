"""A FHIR Bundle -> lines, as if they had stood in a CSV file. Pure.

Taken are Organization (with quality certificates), Practitioner, PractitionerRole and Endpoint; every other resource is
reported. What a resource does not say stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from huitong.base.errors import SenderFault
from huitong.directory import terms
from huitong.directory.kinds import KINDS, parts_of
from huitong.directory.model import Refusal
from huitong.directory.reading import Content, Line

Resource = Mapping[str, Any]
Cells = dict[str, str]


def read_bundle(data: bytes) -> Content:
    """The resources of the bundle, or the one resource. Raises SenderFault."""
    try:
        said = orjson.loads(data.lstrip(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as e:
        raise SenderFault(f"the file is no JSON: {e} / 文件不是有效的 JSON") from e
    entries = said.get("entry", []) if said.get("resourceType") == "Bundle" else [{"resource": said}]
    if not isinstance(entries, list):
        raise SenderFault("the bundle has no list of entries / Bundle 没有 entry 列表")
    known = {
        entry["fullUrl"]: entry["resource"]
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("fullUrl"), str) and isinstance(entry.get("resource"), dict)
    }
    content = Content("bundle")
    for number, entry in enumerate(entries, 1):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        _take(content, number, resource if isinstance(resource, dict) else {}, known)
    return content


def _take(content: Content, number: int, resource: Resource, known: Mapping[str, Resource]) -> None:
    kind = str(resource.get("resourceType", ""))
    make = _READERS.get(kind)
    if make is None:
        if kind != "Location":  # follows from its organization
            zh, en = "目录不接收这种资源", "the directory does not take this kind of resource"
            content.refusals.append(Refusal(number, "resourceType", kind[:80], zh, en))
        return
    try:
        made = list(make(resource, known))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        zh, en = "资源结构不符合 FHIR R4", "the resource is not of the form of FHIR R4"
        content.refusals.append(Refusal(number, kind, str(resource.get("id", ""))[:80], zh, en))
        return
    for name, cells in made:
        content.lines.append(Line(KINDS[name], number, cells, {}))


def _organization(r: Resource, known: Mapping[str, Resource]) -> Iterator[tuple[str, Cells]]:
    if "dept" in [code for concept in r.get("type", []) for _, code in _codings(concept)]:
        institution, code = _department(r, known)
        address = r.get("extension", [])
        yield "departments", _said(
            institution=institution, code=code, name=r.get("name"), name_en=_first(r, "alias"), phone=_phone(r),
            active=_active(r), place=_extension(address, terms.DEPARTMENT, "String"),
        )  # fmt: skip
        return
    code, extensions = _institution_code(r), r.get("extension", [])
    yield (
        "institutions",
        _said(
            code=code,
            name=r.get("name"),
            name_en=_first(r, "alias"),
            level=_extension(extensions, terms.LEVEL, "Code"),
            region=_extension(extensions, terms.GB2260, "Code"),
            county_group=_extension(extensions, terms.COUNTY_GROUP, "String"),
            credit_code=_identifier(r, terms.GB32100),
            parent=_organization_code(r["partOf"], known)[0] if "partOf" in r else None,
            address=(_first(r, "address") or {}).get("text"),
            phone=_phone(r),
            active=_active(r),
        ),
    )
    for each in extensions:
        if each.get("url") == terms.QUALIFICATION:
            yield "certificates", _certificate(code, each.get("extension", []))


def _certificate(institution: str, parts: list[Resource]) -> Cells:
    by_url = {each["url"]: each for each in parts}
    period = by_url.get("period", {}).get("valuePeriod", {})
    item = by_url["code"]["valueCodeableConcept"]
    return _said(
        institution=institution,
        item=next((code for _, code in _codings(item)), ""),
        item_name=item.get("text"),
        level=by_url.get(terms.SCOPE, {}).get("valueCode", ""),
        result=by_url.get(terms.RESULT, {}).get("valueCode", ""),
        valid_from=period.get("start", ""),
        valid_until=period.get("end", ""),
        number=by_url.get("identifier", {}).get("valueIdentifier", {}).get("value"),
        issuer=by_url.get("issuer", {}).get("valueReference", {}).get("display"),
    )


def _practitioner(r: Resource, known: Mapping[str, Resource]) -> Iterator[tuple[str, Cells]]:
    names = [_name(each) for each in r.get("name", [])]
    sexes = {word: code for code, word in terms.GENDERS.items()}
    yield (
        "practitioners",
        _said(
            code=_identifier(r, terms.PRACTITIONER) or r["id"],
            name=next(iter(names), ""),
            name_en=next(iter(names[1:]), None),
            sex=sexes.get(r["gender"], r["gender"]) if "gender" in r else None,
            licence=_identifier(r, terms.LICENCE),
            active=_active(r),
        ),
    )


def _name(name: Resource) -> str:
    if name.get("text"):
        return str(name["text"])
    separator = "" if any(ord(each) > 0x2E7F for each in str(name.get("family", ""))) else " "
    return separator.join([str(name.get("family", "")), *map(str, name.get("given", []))]).strip()


def _role(r: Resource, known: Mapping[str, Resource]) -> Iterator[tuple[str, Cells]]:
    institution, department = _organization_code(r["organization"], known)
    practitioner = _resolved(r["practitioner"], known)
    period = r.get("period", {})
    concepts = r.get("code") or [{}]
    yield (
        "roles",
        _said(
            practitioner=_identifier(practitioner, terms.PRACTITIONER) or practitioner["id"],
            institution=institution,
            department=department,
            role=next((code for _, code in _codings(concepts[0])), ""),
            title=concepts[0].get("text"),
            specialty=(_first(r, "specialty") or {}).get("text"),
            valid_from=period.get("start"),
            valid_until=period.get("end"),
            active=_active(r),
        ),
    )


def _endpoint(r: Resource, known: Mapping[str, Resource]) -> Iterator[tuple[str, Cells]]:
    institution = _organization_code(r["managingOrganization"], known)[0]
    ae_title = _extension(r.get("extension", []), terms.AE_TITLE, "String")
    yield (
        "endpoints",
        _said(
            institution=institution,
            code=_identifier(r, terms.ENDPOINT) or parts_of(r["id"])[-1],
            kind=r["connectionType"]["code"],
            name=r.get("name"),
            address="" if r.get("address") == terms.caller(ae_title or "") else r.get("address"),
            ae_title=ae_title,
            active="1" if r.get("status") == "active" else "0",
        ),
    )


_READERS: dict[str, Callable[[Resource, Mapping[str, Resource]], Iterator[tuple[str, Cells]]]] = {
    "Organization": _organization,
    "Practitioner": _practitioner,
    "PractitionerRole": _role,
    "Endpoint": _endpoint,
}


# --- parts ---


def _said(**cells: object) -> Cells:
    """What the resource says; None is not said."""
    return {name: str(value) for name, value in cells.items() if value is not None}


def _first(r: Resource, name: str) -> Any:
    return next(iter(r.get(name, [])), None)


def _active(r: Resource) -> str | None:
    return None if "active" not in r else "1" if r["active"] else "0"


def _phone(r: Resource) -> str | None:
    return next((each.get("value") for each in r.get("telecom", []) if each.get("system") == "phone"), None)


def _codings(concept: Resource) -> list[tuple[str, str]]:
    return [(str(each.get("system", "")), str(each["code"])) for each in concept.get("coding", [])]


def _identifier(r: Resource, system: str) -> str | None:
    found = (each["value"] for each in r.get("identifier", []) if each.get("system") == system)
    return next((str(each) for each in found), None)


def _extension(extensions: list[Resource], url: str, kind: str) -> str | None:
    return next((each[f"value{kind}"] for each in extensions if each.get("url") == url), None)


def _resolved(reference: Resource, known: Mapping[str, Resource]) -> Resource:
    """The resource that is meant: of this bundle, or one of which the id is all that is known."""
    target = str(reference["reference"])
    kind, _, logical_id = target.rpartition("/")
    for url, resource in known.items():
        if url == target or url.endswith(f"/{target}"):
            return resource
    for resource in known.values():
        if kind and f"{resource.get('resourceType')}/{resource.get('id')}" == target:
            return resource
    return {"id": logical_id}


def _institution_code(r: Resource) -> str:
    return _identifier(r, terms.INSTITUTION) or parts_of(str(r["id"]))[0]


def _department(r: Resource, known: Mapping[str, Resource]) -> tuple[str, str]:
    parts = parts_of(str(r.get("id", "")))
    institution = _organization_code(r["partOf"], known)[0] if "partOf" in r else parts[0]
    return institution, _identifier(r, terms.DEPARTMENT) or parts[-1]


def _organization_code(reference: Resource, known: Mapping[str, Resource]) -> tuple[str, str]:
    """Codes of institution and department, the latter empty where an institution is meant."""
    found = _resolved(reference, known)
    if "resourceType" not in found:
        institution, *department = parts_of(str(found["id"]))
        return institution, "".join(department)
    if "dept" in [code for concept in found.get("type", []) for _, code in _codings(concept)]:
        return _department(found, known)
    return _institution_code(found), ""

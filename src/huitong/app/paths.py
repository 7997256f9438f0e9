"""Every path into the server, and the decision that stands before it: a path that is not here fails a test.

Tables alone. Who is allowed stands in `access/policy.toml`; the rooms' actions ask, at their entrance.
"""

from __future__ import annotations

from huitong.access.deciding import Action

#: No record and nobody's name is behind it.
NOTHING = None
Decided = Action | None

_OWN_PAGES: dict[str, dict[str, Decided]] = {
    "": {},
    "/studies": {},
    "/looked": {},
    "/rights": {"POST": Action.CHANGE_RIGHTS},
}
#: Routes of the pages, of cards and of health, by path and method.
HTTP: dict[str, dict[str, Decided]] = {
    "/healthz": {"GET": NOTHING},
    "/readyz": {"GET": NOTHING},
    "/metrics": {"GET": NOTHING},
    # Whoever asks for a token proves who they are with it.
    "/auth/token": {"POST": NOTHING},
    "/.well-known/smart-configuration": {"GET": NOTHING},
    "/fhir/.well-known/smart-configuration": {"GET": NOTHING},
    "/": {"GET": Action.LIST_STUDIES},
    "/study/{institution}/{study_uid}": {"GET": Action.SEE_STUDY},
    "/study/{institution}/{study_uid}/version/{sha256}": {"GET": Action.SEE_STUDY},
    "/look/{institution}/{study_uid}": {"GET": Action.SEE_STUDY},
    "/look/{institution}/{study_uid}/{series_uid}": {"GET": Action.SEE_STUDY},
    "/card/resolve": {"POST": Action.SCAN_CARD},
    "/card/issue": {"POST": Action.ISSUE_CARD},
    "/card/figures": {"GET": Action.COUNT_CARDS},
    "/card/{id}": {"GET": Action.SEE_CARD},
    "/card/{id}/suspend": {"POST": Action.ISSUE_CARD},
    "/card/{id}/resume": {"POST": Action.ISSUE_CARD},
    "/health-card": {"GET": NOTHING, "POST": Action.SCAN_CARD},
    "/health-card/{person}": {"GET": Action.SEE_CARD},
    "/health-card/{person}/code": {"GET": Action.SEE_CARD},
    # The pages of a resident, and of a child under 14 for whom one acts.
    **{
        f"{base}{path}": {"GET": Action.SEE_RIGHTS, **more}
        for base in ("/me", "/me/child/{person}")
        for path, more in _OWN_PAGES.items()
    },
    "/me/share/{institution}/{study_uid}": {"GET": Action.SHARE, "POST": Action.SHARE},
    "/me/shares": {"GET": Action.SHARE},
    "/me/shares/{share}/end": {"POST": Action.SHARE},
    # Whoever has a link proves it with its secret; what it then opens is decided like all else.
    "/s": {"GET": NOTHING},
    "/share/open": {"POST": NOTHING},
    "/shl/{secret}": {"POST": NOTHING, "OPTIONS": NOTHING},
    "/shl/file/{secret}": {"GET": NOTHING},
    "/people": {"GET": Action.FIND_PERSONS},
    "/person/{exchange_id}": {"GET": Action.SEE_PERSON},
    "/person/{exchange_id}/split": {"POST": Action.DECIDE_PERSONS},
    "/person/{exchange_id}/guardians": {"POST": Action.NAME_GUARDIAN},
    "/person/{exchange_id}/break-glass": {"POST": Action.BREAK_GLASS},
    "/questions": {"GET": Action.DECIDE_PERSONS},
    "/question/{pk:int}": {"GET": Action.DECIDE_PERSONS, "POST": Action.DECIDE_PERSONS},
    "/break-glass": {"GET": Action.REVIEW},
    "/break-glass/{pk:int}": {"POST": Action.REVIEW},
    "/audit": {"GET": Action.SEE_AUDIT},
    # Numbers of lines and hashes, for whoever keeps them elsewhere.
    "/audit/heads": {"GET": NOTHING},
    "/audit/heads/latest": {"GET": NOTHING},
    "/audit/heads/{size:int}": {"GET": NOTHING},
    "/audit/consistency": {"GET": NOTHING},
    "/audit/{seq:int}": {"GET": Action.SEE_AUDIT},
    "/sign-in": {"GET": NOTHING, "POST": NOTHING},
    "/sign-in/code": {"GET": NOTHING, "POST": NOTHING},
    "/sign-in/password": {"GET": NOTHING, "POST": NOTHING},
    "/sign-out": {"POST": NOTHING},
    # Only with a provider in the settings; its token proves what it says.
    "/sign-in/openid": {"GET": NOTHING},
    "/sign-in/openid/back": {"GET": NOTHING},
    "/auth/openid/ended": {"POST": NOTHING},
    "/account": {"GET": Action.OWN_ACCOUNT},
    "/account/password": {"POST": Action.OWN_ACCOUNT},
    "/account/authenticator": {"POST": Action.OWN_ACCOUNT},
    "/account/authenticator/code": {"POST": Action.OWN_ACCOUNT},
    "/account/sessions": {"POST": Action.OWN_ACCOUNT},
    "/accounts": {"GET": Action.KEEP_ACCOUNTS, "POST": Action.KEEP_ACCOUNTS},
    "/accounts/{name:path}": {"GET": Action.KEEP_ACCOUNTS, "POST": Action.KEEP_ACCOUNTS},
    "/about": {"GET": NOTHING},
    "/language/{tag}": {"GET": NOTHING},
    "/directory": {"GET": Action.SEE_DIRECTORY},
    "/directory/loads": {"GET": Action.SEE_DIRECTORY},
    "/directory/loads/{pk:int}": {"GET": Action.SEE_DIRECTORY},
    "/directory/at/{code}": {"GET": Action.SEE_DIRECTORY},
    # The viewer's document is the same for all; what it shows it asks over DICOMweb.
    **{
        path: {"GET": NOTHING}
        for mode in ("viewer", "basic", "segmentation", "tmtv", "microscopy", "dynamic-volume", "usAnnotation")
        for path in (f"/{mode}", f"/{mode}/{{rest:path}}")
    },
}

_STUDY, _SERIES = "studies/{study}", "studies/{study}/series/{series}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_SEE: dict[str, Decided] = {"GET": Action.SEE_STUDY}
_LIST: dict[str, Decided] = {"GET": Action.LIST_STUDIES}
#: Resources below `/dicom-web` and `/dicom-web/at/{institution}`. Searches that name a person or a study are decided
#: study by study (`imaging.see`), others are of the own institution.
DICOMWEB: dict[str, dict[str, Decided]] = {
    "studies": {**_LIST, "POST": Action.SEND_IMAGES},
    "series": _LIST,
    "instances": _LIST,
    _STUDY: {**_SEE, "POST": Action.SEND_IMAGES},
    f"{_STUDY}/series": _SEE,
    f"{_STUDY}/instances": _SEE,
    f"{_STUDY}/metadata": _SEE,
    f"{_STUDY}/thumbnail": _SEE,
    f"{_STUDY}/links": _SEE,
    _SERIES: _SEE,
    f"{_SERIES}/instances": _SEE,
    f"{_SERIES}/metadata": _SEE,
    f"{_SERIES}/thumbnail": _SEE,
    f"{_SERIES}/links": _SEE,
    _INSTANCE: _SEE,
    f"{_INSTANCE}/metadata": _SEE,
    f"{_INSTANCE}/rendered": _SEE,
    f"{_INSTANCE}/thumbnail": _SEE,
    f"{_INSTANCE}/links": _SEE,
    f"{_INSTANCE}/bulkdata/{{bulk}}": _SEE,
    f"{_INSTANCE}/frames/{{frames}}": _SEE,
    f"{_INSTANCE}/frames/{{frames}}/rendered": _SEE,
    f"{_INSTANCE}/frames/{{frames}}/thumbnail": _SEE,
}

_OF_DIRECTORY: dict[str, Decided] = {"read": Action.SEE_DIRECTORY, "search": Action.SEE_DIRECTORY}
#: Resource types of FHIR, with their interactions and operations.
FHIR: dict[str, dict[str, Decided]] = {
    "Patient": {
        "read": Action.SEE_PERSON,
        "search": Action.FIND_PERSONS,
        "$match": Action.FIND_PERSONS,
        "$ihe-pix": Action.FIND_PERSONS,
    },
    # Residents read what is about them, as on their own pages (`rights.see`).
    "AuditEvent": {"read": Action.SEE_AUDIT, "search": Action.SEE_AUDIT},
    **dict.fromkeys(("Organization", "Location", "Practitioner", "PractitionerRole", "Endpoint"), _OF_DIRECTORY),
}

#: Services of DIMSE that are not refused whoever asks.
DIMSE: dict[str, Decided] = {"C_ECHO": NOTHING, "C_STORE": Action.SEND_IMAGES}

#: Trigger events of ADT over MLLP.
MLLP: dict[str, Decided] = dict.fromkeys(
    (
        "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A18", "A24", "A28", "A31", "A34",
        "A36", "A37", "A38", "A39", "A40", "A46", "A47",
    ),
    Action.SEND_PEOPLE,
)  # fmt: skip

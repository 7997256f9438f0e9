"""Every error the system answers with, and what each is called in the protocols' own terms.

The class docstring is the message; the argument says what exactly. `ANSWERS` gives each class its HTTP status, DIMSE
status, FHIR issue type and HL7 condition, so that two doors never answer the same fault differently.
A "no" with a reason that is part of the job (already there, not eligible) is a value, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass


class HuitongError(Exception):
    """Something went wrong in Huitong."""

    #: What the operator can do about it; empty when nothing.
    hint = ""

    def __init__(self, detail: str = "") -> None:
        message = (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(f"{message} {detail}".strip() if detail else message)
        self.detail = detail


class OurFault(HuitongError):
    """Huitong could not do what it should."""


class SenderFault(HuitongError):
    """What was sent cannot be accepted."""


class CallerFault(HuitongError):
    """What was asked cannot be answered."""


class SettingsError(OurFault):
    """The settings are not usable."""

    hint = "see docs/reference/settings.md"


class StoreFull(OurFault):
    """The archive has no room left; nothing was kept."""

    hint = "free space on the data volume; the service resumes by itself"


class StoreUnavailable(OurFault):
    """The archive cannot write just now; nothing was kept."""

    hint = "look at the log for the cause; senders may retry"


class StoreDamaged(OurFault):
    """A stored object is missing or differs from its digest."""

    hint = "run `huitong verify` and restore the named objects from backup"


class AuditDamaged(OurFault):
    """The record of who looked is not as it was written."""

    hint = "run `huitong audit verify`, keep the database as it is, and find out who could write it"


class NotDicom(SenderFault):
    """This is not a DICOM object that can be read."""


class MissingIdentity(SenderFault):
    """The object lacks a UID without which it cannot be filed."""


class IdentityMismatch(SenderFault):
    """The object is not what the request says it is."""


class TooLarge(SenderFault):
    """The object is larger than this archive accepts."""

    hint = "raise `max_instance_bytes`"


class BadRequest(CallerFault):
    """The request cannot be understood."""


class NotSignedIn(CallerFault):
    """The request does not say who asks."""


class PasswordToChoose(CallerFault):
    """Another password has to be chosen first: somebody else knows this one."""

    hint = "open /sign-in/password in the browser that has signed in"


class NotAllowed(CallerFault):
    """The caller may not do this."""


class TooOften(CallerFault):
    """There were too many requests from here."""

    hint = "wait as long as the header Retry-After says"


class NotFound(CallerFault):
    """There is no such thing here."""


class LinkEnded(NotFound):
    """The link has ended, or there never was one."""


class UnknownDomain(CallerFault):
    """Nobody here gives identifiers of this system."""


class UnknownTarget(CallerFault):
    """Identifiers of this system cannot be asked for."""


class Gone(CallerFault):
    """What was asked for is not there any more."""


class NotAcceptable(CallerFault):
    """None of the acceptable representations can be given."""


class UnsupportedMedia(CallerFault):
    """The request body is of a kind that is not understood here."""


class CannotRender(CallerFault):
    """The object is kept, but no picture can be made of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error is said outside.

    #: `http` per RFC 9110; `dimse` per PS3.4 table B.2-1 and PS3.7 annex C; `fhir` per FHIR R4 value set issue-type;
    #: `hl7` per HL7 v2.5 table 0357.
    """

    code: str
    http: int
    dimse: int
    fhir: str
    hl7: int = 207


ANSWERS: dict[type[HuitongError], Answer] = {
    HuitongError: Answer("internal", 500, 0x0110, "exception"),
    OurFault: Answer("internal", 500, 0x0110, "exception"),
    SettingsError: Answer("settings", 500, 0x0110, "exception"),
    StoreFull: Answer("store-full", 507, 0xA700, "no-store"),
    StoreUnavailable: Answer("store-unavailable", 503, 0xA700, "transient"),
    StoreDamaged: Answer("store-damaged", 500, 0x0110, "exception"),
    AuditDamaged: Answer("audit-damaged", 500, 0x0110, "exception"),
    SenderFault: Answer("invalid", 400, 0xC000, "invalid", 102),
    NotDicom: Answer("not-dicom", 400, 0xC000, "structure"),
    MissingIdentity: Answer("missing-identity", 400, 0xA900, "required", 101),
    IdentityMismatch: Answer("identity-mismatch", 409, 0xA900, "conflict", 205),
    TooLarge: Answer("too-large", 413, 0xA700, "too-long", 104),
    CallerFault: Answer("bad-request", 400, 0x0110, "invalid", 102),
    BadRequest: Answer("bad-request", 400, 0x0106, "invalid", 102),
    NotSignedIn: Answer("not-signed-in", 401, 0x0124, "login"),
    PasswordToChoose: Answer("password-to-choose", 403, 0x0124, "login"),
    NotAllowed: Answer("not-allowed", 403, 0x0124, "forbidden"),
    TooOften: Answer("too-often", 429, 0xA700, "throttled"),
    NotFound: Answer("not-found", 404, 0x0112, "not-found", 204),
    LinkEnded: Answer("link-ended", 404, 0x0112, "not-found", 204),
    # IHE ITI-83 2:3.83.4.2.2.3 and .4.
    UnknownDomain: Answer("unknown-domain", 400, 0x0110, "code-invalid", 204),
    UnknownTarget: Answer("unknown-target", 403, 0x0110, "code-invalid", 204),
    Gone: Answer("gone", 410, 0x0112, "deleted"),
    NotAcceptable: Answer("not-acceptable", 406, 0x0110, "not-supported"),
    UnsupportedMedia: Answer("unsupported-media", 415, 0x0122, "not-supported"),
    CannotRender: Answer("cannot-render", 406, 0x0110, "not-supported"),
}


#: Seconds after which what failed for reasons of ours may be tried again, by HTTP status (RFC 9110 10.2.3).
RETRY_AFTER_S = {503: 10, 507: 60}


def retry_after(status: int) -> dict[str, str]:
    """The HTTP header that goes with the status, if one does."""
    return {"Retry-After": str(RETRY_AFTER_S[status])} if status in RETRY_AFTER_S else {}


def answer_for(error: BaseException) -> Answer:
    """The answer of the nearest class that has one; a stranger's exception is our own fault."""
    for cls in type(error).__mro__:
        if cls in ANSWERS:
            return ANSWERS[cls]
    return ANSWERS[HuitongError]

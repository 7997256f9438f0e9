"""What residents are told, in the words of people who are not of the field: kinds of studies, who looked, and why."""

from __future__ import annotations

from huitong.access.auditing import Line
from huitong.access.model import Kind
from huitong.web.modalities import _

#: By modality code; others are "Examination".
KINDS = {
    "CT": _("CT scan"),
    "MR": _("MRI scan"),
    "DX": _("X-ray"),
    "CR": _("X-ray"),
    "US": _("Ultrasound scan"),
    "MG": _("Breast X-ray"),
    "XA": _("Blood vessel X-ray"),
    "RF": _("X-ray film"),
    "NM": _("Nuclear medicine scan"),
    "PT": _("PET scan"),
    "ECG": _("Heart tracing (ECG)"),
    "ES": _("Endoscopy"),
    "SM": _("Tissue slide"),
    "IO": _("Tooth X-ray"),
    "PX": _("Jaw X-ray"),
    "OP": _("Eye photograph"),
    "OPT": _("Eye scan"),
    "BMD": _("Bone density"),
    "DOC": _("Document"),
    "SR": _("Report"),
}
OTHER_KIND = _("Examination")

ROLES = {
    "doctor": _("doctor"),
    "clerk": _("registration desk"),
    "registrar": _("registrar of patient numbers"),
    "supervisor": _("supervisor"),
    "admin": _("administrator"),
}

#: What was done, by action; of `imaging.see` it is said which study.
DONE = {
    "imaging.see": _("Saw the study"),
    "imaging.list": _("Saw the list of studies"),
    "people.see": _("Saw name, date of birth and patient numbers"),
    "card.see": _("Saw the health card"),
    "card.show": _("Showed the code of the health card"),
    "rights.see": _("Saw these pages"),
    "rights.change": _("Changed who may see"),
    "rights.guard": _("Wrote down who is a child's guardian, or ended it"),
    "break-glass.open": _("Opened all studies in an emergency"),
    "share.make": _("Shared the study by a link"),
    "share.open": _("Opened a link to a study"),
    "share.end": _("Ended a link to a study"),
}
WANTED = {
    "imaging.see": _("Wanted to see the study"),
    "imaging.list": _("Wanted to see the list of studies"),
    "people.see": _("Wanted to see name and patient numbers"),
    "card.see": _("Wanted to see the health card"),
    "card.show": _("Wanted the code of the health card"),
    "rights.see": _("Wanted to see these pages"),
    "rights.change": _("Wanted to change who may see"),
    "rights.guard": _("Wanted to say who is a child's guardian"),
    "break-glass.open": _("Wanted to open all studies in an emergency"),
    "share.make": _("Wanted to share the study"),
    "share.open": _("Wanted to open a link to a study"),
}
OTHER_DONE, OTHER_WANTED = _("Did something else"), _("Wanted something else")

#: Why, by the rules of `access/policy.toml`.
WHY = {
    "own institution": _("The studies were made at this hospital."),
    "open visit": _("Because of a visit at this hospital."),
    "card scan": _("The health card had been scanned at this hospital."),
    "break-glass": _("An emergency; the reason is given below."),
    "emergency": _("An emergency; the reason is given below."),
    "self": _("You yourself."),
    "guardian": _("As guardian of a child."),
    "share": _("By a link that was shared with them."),
    "identify": _("Whoever registers or treats somebody has to know who it is."),
    "registrar": _("To make sure which patient numbers are one person's."),
    "registrar of the child's": _("The child is registered at this hospital, where papers of guardians are looked at."),
    "card at the desk": _("Cards are read where people come to be treated."),
    # refused
    "passcode": _("Refused: the passcode was wrong."),
    "expired": _("Refused: the link had expired."),
    "revoked": _("Refused: the link had been ended."),
    "dead": _("Refused: the link was closed after too many wrong passcodes."),
    "objection": _("Refused: other hospitals may not see these records."),
    "sensitive": _("Refused: a particularly private study, and nobody has agreed to show it."),
}
OUTSIDE_LINK = _("Refused: the link opens one study, and this is another.")
REFUSED = _("Refused: no visit there, and the health card was not scanned there.")
OTHER_WHY = _("Allowed by the rules of this service.")

VERDICTS = {
    "": _("A supervisor has still to look at this."),
    "justified": _("A supervisor has looked at this: there was a good reason."),
    "unjustified": _("A supervisor has looked at this: there was no good reason."),
}

#: By the classes of `catalog.access.SENSITIVE`: what is of it, for somebody who never heard of such classes.
SENSITIVE = {
    "psychiatry": _("Studies ordered by psychiatry, psychology or addiction treatment."),
    "infection": _("Studies about HIV or sexually transmitted diseases."),
    "reproduction": _("Studies about fertility, or the end of a pregnancy."),
    "genetics": _("Studies about genes and hereditary diseases."),
    "forensic": _("Studies made for a court, or after violence."),
}


def kind_of(modalities: tuple[str, ...]) -> str:
    """The message that names the first kind of picture that has a name."""
    return next((KINDS[code] for code in modalities if code in KINDS), OTHER_KIND)


def done(line: Line) -> str:
    """The message of what was done, or wanted where it was refused."""
    if line.looked.allowed:
        return DONE.get(line.looked.action, OTHER_DONE)
    return WANTED.get(line.looked.action, OTHER_WANTED)


def why(line: Line) -> str:
    """The message of the reason for the answer."""
    if line.asker["kind"] == Kind.SHARE and not line.looked.allowed and line.looked.rule not in WHY:
        return OUTSIDE_LINK
    return WHY.get(line.looked.rule, OTHER_WHY if line.looked.allowed else REFUSED)

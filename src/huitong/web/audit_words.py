"""What the supervisor's pages call actions, rules, purposes and askers of the audit; a line has the codes beside."""

from __future__ import annotations

from huitong.web.modalities import _

ACTIONS = {
    "imaging.see": _("See a study"),
    "imaging.list": _("List studies"),
    "imaging.send": _("Send images"),
    "people.see": _("See a person"),
    "people.find": _("Find persons"),
    "people.send": _("Send registrations"),
    "people.decide": _("Decide on patient numbers"),
    "card.see": _("See a health card"),
    "card.show": _("Show the code of a health card"),
    "card.scan": _("Scan a health card"),
    "card.issue": _("Issue or suspend a health card"),
    "card.count": _("Count health cards"),
    "directory.see": _("See the directory"),
    "rights.see": _("See who may see"),
    "rights.change": _("Change who may see"),
    "rights.guard": _("Name or end a guardian"),
    "break-glass.open": _("Open records in an emergency"),
    "break-glass.review": _("Review an emergency"),
    "accounts.own": _("Change the own account"),
    "accounts.keep": _("Keep accounts"),
    "accounts.sign-in": _("Sign in"),
    "accounts.sign-out": _("Sign out"),
    "audit.see": _("Read who looked"),
    "share.make": _("Share by a link"),
    "share.open": _("Open a shared link"),
    "share.end": _("End a shared link"),
}

#: Rules of `access/policy.toml`, and what else a line gives as its reason.
RULES = {
    "objection": _("The person objects"),
    "sensitive": _("Sensitive, and no consent"),
    "operator": _("On the server itself"),
    "open": _("Address of a closed network"),
    "own institution": _("Own institution's record"),
    "open visit": _("Visit is open"),
    "card scan": _("Card was scanned"),
    "break-glass": _("Emergency was declared"),
    "self": _("The person's own"),
    "guardian": _("Guardian of a child"),
    "share": _("Shared by link"),
    "identify": _("Identifying the patient"),
    "registrar": _("Registrar's work"),
    "registrar of the child's": _("Registrar where the child is registered"),
    "card at the desk": _("Card at the desk"),
    "card issue": _("Issuing cards"),
    "sending": _("Sending own records"),
    "emergency": _("Declaring an emergency"),
    "review": _("Supervisor's review"),
    "oversight": _("Supervision"),
    "own audit": _("Own institution's audit"),
    "public": _("Open to all who are signed in"),
    "own account": _("Own account"),
    "admin": _("Administration"),
    "provider": _("Told by the identity provider"),
    "session": _("Session was ended"),
    # refused by no rule of its own
    "none": _("No rule allows it"),
    "unknown": _("There is none, or no link"),
    # signing in
    "password": _("Password"),
    "code": _("Authenticator's code"),
    "disabled": _("Account is disabled"),
    "locked": _("Too many attempts"),
    # opening a link
    "passcode": _("Wrong passcode"),
    "expired": _("Link has expired"),
    "revoked": _("Link was ended"),
    "dead": _("Link was closed after wrong passcodes"),
}

#: HL7 v3 PurposeOfUse.
PURPOSES = {
    "TREAT": _("Treatment"),
    "BTG": _("Emergency"),
    "PATRQT": _("The patient's request"),
    "FAMRQT": _("The family's request"),
    "HOPERAT": _("Running the institution"),
    "SYSADMN": _("Running the system"),
}

#: By `access.model.Kind`.
ASKERS = {
    "operator": _("operator"),
    "system": _("computer system"),
    "staff": _("staff"),
    "person": _("resident"),
    "share": _("shared link"),
    "open": _("anybody on a closed network"),
}

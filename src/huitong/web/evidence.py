"""What the people pages call rules, fields and levels of evidence, in words for whoever decides."""

from __future__ import annotations

from huitong.web.modalities import _

KINDS = {
    "GB11643": _("Citizen number"),
    "passport": _("Passport"),
    "HMT": _("Hong Kong and Macau permit"),
    "TWT": _("Taiwan permit"),
    "health-card": _("Health card"),
    "birth": _("Birth certificate"),
}
#: By the names of `people.rules.RULES`, and "human".
RULES = {
    "merged-by-issuer": _("The institution uses one number instead of the other."),
    "certificates-disagree": _("One certificate is the same, another is not."),
    "other-certificate": _("Two certificates of which a person has one for life."),
    "other-birth-order": _("Children of one birth: first and second born."),
    "same-certificate-other-name": _("The same certificate, and two names."),
    "same-certificate-other-sex": _("The same certificate, and two sexes."),
    "same-certificate-other-birth-date": _("The same certificate, and two dates of birth."),
    "same-certificate-no-name": _("The same certificate, but a name that cannot be read."),
    "same-certificate": _("The same certificate, and names that agree."),
    "newborn": _("One mother, one day of birth, one place in the order of birth."),
    "newborn-no-order": _("One mother and one day of birth; the order of birth was not registered."),
    "twin-or-misspelt": _("Twins, or one person whose name was misspelt."),
    "twin-like": _("Two of one household and one day of birth."),
    "likely": _("So much agrees that it is one person."),
    "possible": _("Much agrees, but not enough to be sure."),
    "unlike": _("Too little agrees."),
    "human": _("Somebody has looked at it and said so."),
}
#: Why the studies of all hospitals are shown, by the rules of `access/policy.toml`.
OPENED = {
    "open visit": _("Studies of all hospitals are shown, as a visit of this person is open at yours."),
    "card scan": _("Studies of all hospitals are shown, as this person's health card was scanned at yours."),
    "break-glass": _("Studies of all hospitals are shown, as you have opened them in an emergency."),
    "self": _("These are your studies of all hospitals."),
    "guardian": _("These are the studies of your child of all hospitals."),
}
FIELDS = {
    "name": _("Name"),
    "sex": _("Sex"),
    "birth_date": _("Born"),
    "certificate": _("Certificates"),
    "phone": _("Telephone"),
    "address": _("Address"),
    "mother": _("Mother"),
    "mother_certificate": _("Mother's certificates"),
    "birth_order": _("Order of birth"),
    "prior": _("Before anything is compared"),
    "relatives": _("It may be one of the family"),
    "guard": _("Held back"),
}
#: By the levels of `people.levels`, and the guards of `people.comparing`.
LEVELS = {
    "same": _("the same"),
    "same, other order": _("the same in the other order"),
    "same sound": _("the same sound"),
    "same sound and tone": _("the same sound and tone"),
    "similar sound": _("a similar sound"),
    "very similar": _("very similar"),
    "similar": _("similar"),
    "same numbers": _("the same house numbers"),
    "one character": _("one character differs"),
    "one digit": _("one digit differs"),
    "digits swapped": _("digits changed places"),
    "day and month swapped": _("day and month changed places"),
    "year": _("the same year"),
    "family name only": _("the family name alone"),
    "given name only": _("the given name alone"),
    "different": _("different"),
    "other name": _("another given name"),
    "sounds alike, other characters": _("sounds alike in other characters, as the names of twins may"),
    "other certificate": _("two certificates of which a person has one for life"),
    "name not comparable": _("no name that can be compared"),
    "other birth date": _("two dates of birth"),
    "other sex": _("two sexes"),
    "name and birth date alone": _("name and date of birth alone are not enough"),
}

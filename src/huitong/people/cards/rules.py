"""What is decided about cards and codes. Pure: keys and times come in."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from huitong.people.cards import algorithm
from huitong.people.cards.keys import KeyPair, Keys
from huitong.people.cards.model import Reason, State

#: Kind of certificate of a temporary card (CV02.01.101: 99 other), whose number is one of its own.
NO_CERTIFICATE = "99"
#: What a use record requires: 诊疗环节代码, terminal id, terminal type.
FIELDS = {
    "step": re.compile(r"[0-9A-Za-z]{1,10}"),
    "terminal_id": re.compile(r"[\x21-\x7e]{1,64}"),
    "terminal_type": re.compile(r"[0-9A-Za-z]{1,2}"),
}


def make(pair: KeyPair, certificate: tuple[str, str], name: str) -> tuple[str, bytes]:
    """(card id, index) of a certificate and the name on it."""
    index = algorithm.mindex(*certificate, name)
    return algorithm.card_id(algorithm.user_key(pair.root, index), *certificate), index


def is_ours(keys: Keys, card_id: str, certificate: tuple[str, str], index: bytes, key_version: int) -> bool:
    """Whether the id is that of the certificate under the key it was made with."""
    pair = keys.versions.get(key_version)
    return pair is not None and algorithm.certificate_of(algorithm.user_key(pair.root, index), card_id) == certificate


def code_until(now: datetime, code_s: float) -> datetime:
    """The last second at which a code made now is good."""
    return (now + timedelta(seconds=code_s)).replace(microsecond=0)


def time_of(keys: Keys, validity: str) -> datetime | None:
    """The time that a dynamic code carries; None where none of our keys made it."""
    return next((at for key in keys.protections() if (at := algorithm.valid_until(key, validity))), None)


def fault_of_time(until: datetime, now: datetime, *, code_s: float, skew_s: float) -> Reason | None:
    """Why a code that says `until` is not good at `now`; both ends with the tolerance for clocks."""
    if now > until + timedelta(seconds=1 + skew_s):
        return Reason.EXPIRED
    return Reason.AHEAD if until > now + timedelta(seconds=code_s + skew_s) else None


def fault_of_state(state: State) -> Reason | None:
    """Why a card in this state is not taken."""
    return Reason.SUSPENDED if state == State.SUSPENDED else None

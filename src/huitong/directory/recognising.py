"""Institutions by what they show at a door. Holds one picture of the directory at a time, which is replaced whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from huitong.base.setting_kinds import is_within
from huitong.base.tls import NO_CERTIFICATE, Certificate
from huitong.directory.model import Caller, Institution, Network


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is known at one moment; a request sees one of them."""

    by_code: dict[str, Institution]
    by_ae: dict[str, list[Caller]] = field(default_factory=dict)
    by_token: dict[str, list[Caller]] = field(default_factory=dict)
    by_hl7: dict[tuple[str, str], list[Caller]] = field(default_factory=dict)
    #: Whose a certificate is, by its fingerprint and by its names.
    by_certificate: dict[str, set[str]] = field(default_factory=dict)
    #: From where any institution calls.
    networks: set[Network] = field(default_factory=set)
    #: All that list a certificate.
    certified: list[Caller] = field(default_factory=list)


class Directory:
    """The institutions, looked up by what they show. May be used from any thread while `become` replaces it."""

    def __init__(self, institutions: Iterable[Institution], callers: Iterable[Caller] = ()) -> None:
        self._now = _Picture({})
        self.become(institutions, callers)

    def become(self, institutions: Iterable[Institution], callers: Iterable[Caller] = ()) -> None:
        """From now on these. An institution calls by what it has itself, and by what `callers` say of it.

        Where two claim the same (which loading refuses), what institutions have themselves comes first.
        """
        picture = _Picture({each.code: each for each in institutions})
        own = (
            Caller(
                i.code,
                i.networks,
                i.ae_titles,
                i.token_sha256,
                certificate_sha256=i.certificate_sha256,
                certificate_names=i.certificate_names,
            )
            for i in picture.by_code.values()
        )
        for each in (*own, *callers):
            if each.institution not in picture.by_code:
                continue
            picture.networks.update(each.networks)
            for ae in each.ae_titles:
                picture.by_ae.setdefault(ae, []).append(each)
            if each.certificates:
                picture.certified.append(each)
            for shown in each.certificates:
                picture.by_certificate.setdefault(shown, set()).add(each.institution)
            for digest in each.token_sha256:
                picture.by_token.setdefault(digest, []).append(each)
            if each.hl7_application or each.hl7_facility:
                picture.by_hl7.setdefault((each.hl7_application, each.hl7_facility), []).append(each)
        self._now = picture

    def all(self) -> list[Institution]:
        return list(self._now.by_code.values())

    def get(self, code: str) -> Institution | None:
        return self._now.by_code.get(code)

    def by_ae(self, ae_title: str, host: str, certificate: Certificate = NO_CERTIFICATE) -> Institution | None:
        """Whose AE title this is, calling from `host`; an AE title alone proves nothing, so the address must fit.

        `certificate` is what was shown over TLS: where the directory lists some for this AE title, by fingerprint or
        name, it must be one of them, and it must never be another institution's.
        """
        now = self._now
        return _first(now, now.by_ae.get(ae_title, ()), host, certificate)

    def by_certificate(self, certificate: Certificate, host: str) -> Institution | None:
        """Whose certificate this is, shown by `host`; None where the directory lists it for nobody or for several."""
        now = self._now
        owners = self.owners(certificate)
        fits = any(each.institution in owners and _fits(each, host, certificate) for each in now.certified)
        return now.by_code[next(iter(owners))] if len(owners) == 1 and fits else None

    def owners(self, certificate: Certificate) -> frozenset[str]:
        """Codes of the institutions for which the directory lists it, by fingerprint or name."""
        return _owners(self._now, certificate)

    def by_token(self, token: str, host: str) -> Institution | None:
        """Whose token this is. Looked up by its digest, so that the time taken says nothing about the token."""
        now = self._now
        callers = now.by_token.get(hashlib.sha256(token.encode()).hexdigest(), ())
        return next((now.by_code[each.institution] for each in callers if is_within(host, each.networks)), None)

    def by_hl7(
        self, application: str, facility: str, host: str, certificate: Certificate = NO_CERTIFICATE
    ) -> Institution | None:
        """Who sends HL7 v2 as this application (MSH-3) and facility (MSH-4) from `host`.

        Of an endpoint that names only one of the two the other may be anything. An institution also sends as the
        facility of its own code. Names prove nothing: the address must fit, and `certificate` as in `by_ae`.
        """
        now = self._now
        for sender in ((application, facility), (application, ""), ("", facility)):
            if sender != ("", "") and (found := _first(now, now.by_hl7.get(sender, ()), host, certificate)):
                return found
        own = now.by_code.get(facility.strip().upper())
        if own is None:
            return None
        by_code = Caller(
            own.code,
            own.networks,
            certificate_sha256=own.certificate_sha256,
            certificate_names=own.certificate_names,
        )
        return _first(now, (by_code,), host, certificate)

    def knows(self, host: str, certificate: Certificate = NO_CERTIFICATE) -> bool:
        """Whether any institution calls from this address, or shows this certificate."""
        return not certificate.known_as.isdisjoint(self._now.by_certificate) or is_within(host, self._now.networks)


def _first(now: _Picture, callers: Iterable[Caller], host: str, certificate: Certificate) -> Institution | None:
    owners = _owners(now, certificate)
    for each in callers:
        if (not owners or each.institution in owners) and _fits(each, host, certificate):
            return now.by_code[each.institution]
    return None


def _owners(now: _Picture, certificate: Certificate) -> frozenset[str]:
    listed = (now.by_certificate.get(each, ()) for each in certificate.known_as)
    return frozenset[str]().union(*listed)


def _fits(caller: Caller, host: str, certificate: Certificate) -> bool:
    """A caller with certificates is known by them; its address is looked at only where some are listed."""
    if not caller.certificates:
        return is_within(host, caller.networks)
    return not certificate.known_as.isdisjoint(caller.certificates) and (
        not caller.networks or is_within(host, caller.networks)
    )

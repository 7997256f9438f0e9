"""Identifier systems: by which URI a FHIR identifier says who gave it (FHIR R4 2.24.0.13.1; IHE ITI TF-2 E.3).

Certificates have the systems that Chinese standards gave them, where there are any; all others begin with the setting
`identifier_base`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Kind of certificate -> its system: those of WS 363 and of the documents of WS/T 500.
STANDARD = {
    "GB11643": "urn:oid:2.16.156.10011.1.3",
    "health-card": "urn:oid:2.16.156.10011.1.19",
}
_KINDS = {system: kind for kind, system in STANDARD.items()}


@dataclass(frozen=True, slots=True)
class Domain:
    """A realm of identifiers."""

    #: "person" (the exchange's own ids), "patient" (an institution's numbers) or "certificate".
    realm: str
    #: Code of the institution, or kind of the certificate.
    name: str = ""


EXCHANGE = Domain("person")


@dataclass(frozen=True, slots=True)
class Systems:
    """The systems of one installation."""

    #: "https://…" or "urn:…".
    base: str

    def system(self, domain: Domain) -> str:
        """The URI of a domain."""
        standard = STANDARD.get(domain.name) if domain.realm == "certificate" else None
        return standard or self._joined(self.base, domain.realm, domain.name)

    def domain(self, system: str) -> Domain | None:
        """The domain of a URI; None where it is none of ours. Whether there is such an institution is not looked at."""
        if system in _KINDS:
            return Domain("certificate", _KINDS[system])
        if system == self.system(EXCHANGE):
            return EXCHANGE
        for realm in ("patient", "certificate"):
            start = self._joined(self.base, realm, "")
            name = system.removeprefix(start)
            if name and name != system:
                return Domain(realm, name)
        return None

    def _joined(self, base: str, realm: str, name: str) -> str:
        separator = ":" if base.startswith("urn:") else "/"
        root = f"{base.rstrip('/:')}{separator}{realm}"
        return root if realm == "person" else f"{root}{separator}{name}"

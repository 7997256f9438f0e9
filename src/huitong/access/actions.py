"""Turns what a caller shows (AE title, token, session, address) into a `Work`, or refuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address

from huitong.access.accounts.actions import Accounts
from huitong.access.accounts.sessions import Sessions
from huitong.access.heads import Heads
from huitong.access.model import Asker, Kind, Need, Role
from huitong.access.openid.actions import OpenId
from huitong.access.sharing import model as shares
from huitong.access.sharing.actions import Sharing
from huitong.access.systems.actions import PREFIX, Systems
from huitong.access.work import Work
from huitong.base.clock import Clock, now
from huitong.base.errors import LinkEnded, NotAllowed, NotSignedIn, PasswordToChoose
from huitong.base.setting_kinds import Network
from huitong.base.tls import NO_CERTIFICATE, Certificate
from huitong.directory.actions import Directory
from huitong.directory.model import Institution
from huitong.store.store import Store
from huitong.wire.smart import allows

#: Holds the secret of a session.
SESSION_COOKIE = "huitong_session"
#: Holds that of a browser that has opened a link, for the addresses of the one study; the second, for whoever has no
#: session beside it, is for all of DICOMweb, so that the viewer's searches carry it.
SHARE_COOKIE, SHARE_COOKIE_EVERYWHERE = "huitong_share", "huitong_shared"


class Access:
    """The one place where a request gets its key; one for each process."""

    def __init__(self, store: Store, directory: Directory, clock: Clock = now) -> None:
        self._store, self._clock = store, clock
        self.directory = directory
        self.accounts = Accounts(store, Sessions(store, clock), clock)
        self.sharing = Sharing(store, clock)
        self.openid = OpenId(store, self.accounts, clock) if store.settings.oidc_issuer else None
        self.heads = Heads(store, clock)
        self.systems = Systems(store, clock, lambda code: directory.get(code) is not None)

    def by_ae(self, calling_aet: str, host: str, certificate: Certificate = NO_CERTIFICATE) -> Work:
        """The institution that calls by this AE title from this address; raises NotAllowed.

        `certificate`: what it has shown over TLS.
        """
        found = self.directory.by_ae(calling_aet, host, certificate)
        if found is None:
            raise NotAllowed(f"AE title {calling_aet!r} is not known from {host}")
        return self._sending(found, calling_aet, "dimse", host)

    def by_message(self, application: str, facility: str, host: str, certificate: Certificate = NO_CERTIFICATE) -> Work:
        """The institution that sends HL7 messages as this application and facility (MSH-3, MSH-4) from this address.

        `certificate` as in `by_ae`. Raises NotAllowed.
        """
        found = self.directory.by_hl7(application, facility, host, certificate)
        if found is None:
            raise NotAllowed(
                f"{application[:40]!r} at facility {facility[:40]!r} (MSH-3, MSH-4) is not known from {host}"
            )
        return self._sending(found, f"{application}@{facility}", "mllp", host)

    def by_token(
        self, authorization: str | None, host: str, need: Need | None = None, certificate: Certificate = NO_CERTIFICATE
    ) -> Work:
        """The institution whose token the header `Authorization: Bearer …` shows (RFC 6750 2.1).

        It is the institution's own, or an access token of one of its systems: then `need` must be within the scopes
        that it was given for, and where there is none, as in what scopes cannot name, it is refused; and it must be
        shown with the `certificate` that it was given with, if there was one.
        Raises NotSignedIn without a usable one, NotAllowed with one that is not known from this address.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotSignedIn("send `Authorization: Bearer` and the institution's token")
        if token.strip().startswith(shares.PREFIX):
            return self._by_share_token(token.strip(), host, need)
        if token.strip().startswith(PREFIX):
            return self._by_access_token(token.strip(), host, need, certificate)
        found = self.directory.by_token(token.strip(), host)
        if found is None:
            raise NotAllowed("the token is not known")
        return self._sending(found, found.code, "http", host)

    def by_certificate(self, certificate: Certificate, host: str) -> Work:
        """The institution whose system has shown this certificate over HTTPS. Raises NotAllowed."""
        found = self.directory.by_certificate(certificate, host)
        if found is None:
            raise NotAllowed(f"the certificate is not known from {host}")
        return self._sending(found, found.code, "http", host)

    def system(
        self, authorization: str | None, host: str, need: Need | None = None, certificate: Certificate = NO_CERTIFICATE
    ) -> Work:
        """As `by_token`, and without a token by the certificate that was shown.

        Raises NotAllowed also for a token that is shown with another institution's certificate.
        """
        if not authorization and certificate.known_as:
            return self.by_certificate(certificate, host)
        work = self.by_token(authorization, host, need, certificate)
        owners = self.directory.owners(certificate)
        if owners and work.asker.kind is Kind.SYSTEM and work.institution not in owners:
            raise NotAllowed("the certificate is another institution's than the token")
        return work

    def _by_access_token(self, token: str, host: str, need: Need | None, certificate: Certificate) -> Work:
        found = self.systems.by_token(token, host, certificate)
        institution = self.directory.get(found.client.institution) if found else None
        if found is None or institution is None:
            raise NotSignedIn("the access token is not known, its time is over, or it is another certificate's")
        if need is None or not allows(found.scopes, need.resource, need.letter):
            raise NotAllowed("the scopes of the access token do not reach here")
        client = found.client
        name = client.name or institution.name
        asker = Asker(Kind.SYSTEM, client.client_id, name, institution.code, session=found.public_id)
        return self._work(asker, "http", host, may_send=need.letter == "c")

    def _by_share_token(self, token: str, host: str, need: Need | None) -> Work:
        """Whoever has a link reads its images by DICOMweb, and nothing else."""
        if need is None or need.resource != "ImagingStudy" or need.letter not in "rs":
            raise NotAllowed("the token of a link reads images alone")
        asker = self.sharing.sessions.asker(token)
        if asker is None:
            raise NotSignedIn("the token is not known, or its time is over")
        return self._work(asker, "http", host, may_send=False)

    def by_session(self, cookie: str | None, host: str) -> Work:
        """Who is signed in with this secret of a session; raises NotSignedIn, PasswordToChoose."""
        asker = self.accounts.sessions.asker(cookie) if cookie else None
        if asker is None and cookie and self.accounts.awaits_password(cookie):
            raise PasswordToChoose()
        if asker is None:
            raise NotSignedIn("sign in")
        work = self._work(asker, "http", host, may_send=False)
        return replace(work, may_decide=True) if asker.has(Role.REGISTRAR) else work

    def reader(
        self,
        authorization: str | None,
        host: str,
        need: Need | None = None,
        *,
        cookie: str | None = None,
        share: str | None = None,
        certificate: Certificate = NO_CERTIFICATE,
    ) -> Work:
        """May search and view: an institution with its token, who has a link, who is signed in, an institution with its
        certificate, or an address in `readers`.

        `need` as in `by_token`; `share` is the cookie of a link. Raises LinkEnded where that has ended and nobody is
        signed in. Raises NotSignedIn, also where a session has ended, whatever the address may: who was
        signed out must not see more than before. Raises NotAllowed.
        """
        if authorization:
            return self.system(authorization, host, need, certificate)
        if share and (asker := self.sharing.sessions.asker(share)) is not None:
            return self._work(asker, "http", host, may_send=False)
        if cookie:
            return self.by_session(cookie, host)
        if share:
            raise LinkEnded()
        if certificate.known_as:
            return self.by_certificate(certificate, host)
        if not _is_within(host, self._store.settings.readers):
            raise NotSignedIn(f"{host} may not read without a token or a session")
        return self._work(Asker(Kind.OPEN, host), "http", host, may_send=False)

    def registrar(self, host: str, cookie: str | None = None) -> Work:
        """May say which records are one person: a registrar who is signed in, or an address in `registrars`.

        Raises NotAllowed: a token does not help, as an institution may not decide for others. Raises NotSignedIn where
        the session has ended.
        """
        if cookie:
            work = self.by_session(cookie, host)
            if not work.may_decide:
                raise NotAllowed("this is for registrars")
            return work
        if not _is_within(host, self._store.settings.registrars):
            raise NotAllowed(f"{host} is no registrar's address")
        return replace(self._work(Asker(Kind.OPEN, host), "http", host, may_send=False), may_decide=True)

    def local(self, institution: str | None = None) -> Work:
        """Work of the operator on this machine, on behalf of an institution when one is named.

        Raises NotAllowed if the directory does not know it.
        """
        if institution is not None and self.directory.get(institution) is None:
            raise NotAllowed(f"institution {institution!r} is not in the directory")
        asker = Asker(Kind.OPERATOR, institution=institution)
        return replace(self._work(asker, "local", "", may_send=institution is not None), may_decide=True)

    def _sending(self, institution: Institution, name: str, door: str, host: str) -> Work:
        asker = Asker(Kind.SYSTEM, name, institution.name, institution.code)
        return self._work(asker, door, host, may_send=True)

    def _work(self, asker: Asker, door: str, host: str, *, may_send: bool) -> Work:
        return Work(self._store, asker, door, host, self._clock(), may_send, self._clock)


def _is_within(host: str, networks: Iterable[Network]) -> bool:
    """Raises NotAllowed for what is no address."""
    try:
        address = ip_address(host)
    except ValueError as e:
        raise NotAllowed(f"no address: {host!r}") from e
    return any(address in network for network in networks)

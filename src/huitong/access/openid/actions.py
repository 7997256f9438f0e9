"""Signing in at the provider, signing out there, and what it tells us when a session has ended there.

Authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE (RFC 7636, S256), state, nonce, and the issuer in the
answer where the provider says it (RFC 9207). Who they are is bound to an account here once; after that the account's
sessions, roles and authenticator are as those of any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from huitong.access.accounts.actions import Accounts
from huitong.access.accounts.model import SignedIn
from huitong.access.openid import tokens
from huitong.access.openid.begun import Begun
from huitong.access.openid.joining import account_of
from huitong.access.openid.mapping import read_mapping
from huitong.access.openid.model import Provided, Reason, SignInFailed
from huitong.access.openid.provider import Provider
from huitong.base.clock import Clock
from huitong.store.store import Store

#: Where the provider sends people back, exactly; below `public_url`.
BACK = "/sign-in/openid/back"


@dataclass(frozen=True, slots=True)
class CameBack:
    """A session that has just begun, and where its owner wanted to go."""

    signed_in: SignedIn
    target: str


class OpenId:
    """One for each process that has a provider in its settings."""

    def __init__(self, store: Store, accounts: Accounts, clock: Clock) -> None:
        """Raises SettingsError."""
        self._store, self._accounts, self._clock = store, accounts, clock
        self._settings = store.settings
        self._provider = Provider(self._settings, clock)
        self._mapping = read_mapping(self._settings.oidc_mapping)
        self._redirect_uri = self._settings.public_url + BACK

    def begin(self, target: str) -> tuple[str, str]:
        """Where to send the browser, and the cookie with which it comes back. Raises SignInFailed."""
        begun = Begun.now(target, self._clock())
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *self._settings.oidc_scopes.split()])),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(str(self._provider.document()["authorization_endpoint"]), asked), begun.cookie

    def come_back(self, said: Mapping[str, str], cookie: str, host: str, device: str = "") -> CameBack:
        """`said` is the query with which the browser came. Raises SignInFailed. Blocks, and waits for the provider."""
        begun = Begun.read(cookie, said.get("state", ""), self._clock())
        try:
            return CameBack(self._signed_in(said, begun, host, device), begun.target)
        except SignInFailed as failed:
            failed.target = begun.target
            raise

    def end_url(self, id_token: str) -> str | None:
        """Where the browser ends the provider's session, too (RP-Initiated Logout 1.0); None where it cannot."""
        try:
            url = self._provider.document().get("end_session_endpoint")
        except SignInFailed:
            return None
        if not url:
            return None
        asked = {
            "id_token_hint": id_token,
            "client_id": self._settings.oidc_client_id,
            "post_logout_redirect_uri": f"{self._settings.public_url}/sign-in",
        }
        return _with_query(str(url), asked)

    def ended(self, logout_token: str) -> int:
        """The provider says whose sessions have ended there (Back-Channel Logout 1.0): how many did here.

        Raises SignInFailed for a token that is not to be believed.
        """
        whose = tokens.logout_claims(logout_token, self._expected(), self._provider.key)
        return self._accounts.end_provided(self._settings.oidc_issuer, whose.sub, whose.sid)

    def _signed_in(self, said: Mapping[str, str], begun: Begun, host: str, device: str) -> SignedIn:
        self._check_answer(said)
        provided = self._provided(said["code"], begun)
        account = account_of(self._store, provided, self._mapping, self._clock, host)
        return self._accounts.begin_provided(account, provided, host, device, strong=self._is_strong(provided))

    def _check_answer(self, said: Mapping[str, str]) -> None:
        issuer = self._settings.oidc_issuer
        wants_issuer = self._provider.document().get("authorization_response_iss_parameter_supported") is True
        if said.get("iss", None if wants_issuer else issuer) != issuer:
            raise SignInFailed(Reason.UNPROVED, "the answer is of another issuer")
        if "error" in said:
            # A word (RFC 6749 4.1.2.1), and nothing else that somebody writes into an address.
            known = re.fullmatch("[a-z_]{1,40}", said["error"])
            raise SignInFailed(Reason.CANCELLED, known[0] if known else "an error that is none")
        if not said.get("code"):
            raise SignInFailed(Reason.UNPROVED, "no code")

    def _provided(self, code: str, begun: Begun) -> Provided:
        given = self._provider.tokens(code, begun.verifier, self._redirect_uri)
        id_token = given.get("id_token")
        if not isinstance(id_token, str):
            raise SignInFailed(Reason.UNPROVED, "no ID token")
        claims = tokens.id_claims(id_token, self._expected(), begun.nonce, self._provider.key)
        sub, sid = str(claims["sub"]), str(claims.get("sid", ""))
        if not self._mapping.claims <= set(claims) and isinstance(given.get("access_token"), str):
            more = self._provider.user_info(given["access_token"])
            if more and more.get("sub") != sub:
                raise SignInFailed(Reason.UNPROVED, "UserInfo is of another sub")  # Core 5.3.2
            claims = {**more, **claims}
        return Provided(self._settings.oidc_issuer, sub, sid, id_token, claims)

    def _expected(self) -> tokens.Expected:
        return tokens.Expected(self._settings.oidc_issuer, self._settings.oidc_client_id, self._clock())

    def _is_strong(self, provided: Provided) -> bool:
        """Whether the provider has asked for a second factor."""
        listed = provided.claims.get("amr")
        said = {str(provided.claims.get("acr", "")), *(map(str, listed) if isinstance(listed, list) else ())}
        return not said.isdisjoint(self._settings.oidc_second_factor.replace(",", " ").split())


def _with_query(url: str, asked: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"

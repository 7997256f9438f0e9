"""One DICOMweb request on its way to an action: who asks, what the path names, what can be accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.requests import Request

from huitong.access.actions import SESSION_COOKIE, SHARE_COOKIE, SHARE_COOKIE_EVERYWHERE, Access
from huitong.access.model import Kind, Need
from huitong.access.work import Work
from huitong.base.caller import host_of
from huitong.imaging import actions
from huitong.imaging.model import StoredInstance
from huitong.wire.accept import Accepted, parse_accept

#: As scopes of access tokens say it: DICOMweb is of ImagingStudy altogether.
_SEARCH, _READ, STORE = (Need("ImagingStudy", letter) for letter in "src")


@dataclass(frozen=True)
class Call:
    """A request, and what its path says."""

    request: Request
    access: Access
    #: Absolute address of the DICOMweb root, of this institution's own where the path names one.
    root: str
    institution: str | None
    #: Names of the pattern (study, series, instance, frames, bulk) to what stands in the path.
    parts: Mapping[str, str]

    @property
    def host(self) -> str:
        return host_of(self.request)

    @property
    def authorization(self) -> str | None:
        return self.request.headers.get("authorization")

    @cached_property
    def work(self) -> Work:
        """The key for reading. Raises NotSignedIn, NotAllowed."""
        cookies, need = self.request.cookies, _SEARCH if self._searches else _READ
        cookie = cookies.get(SESSION_COOKIE)
        share = cookies.get(SHARE_COOKIE) or (None if cookie else cookies.get(SHARE_COOKIE_EVERYWHERE))
        return self.access.reader(self.authorization, self.host, need, cookie=cookie, share=share)

    @property
    def is_shared(self) -> bool:
        """Whether whoever asks has a link: then no browser keeps what it is shown. Only once `work` was asked for."""
        work: Work | None = self.__dict__.get("work")
        return work is not None and work.asker.kind is Kind.SHARE

    @property
    def _searches(self) -> bool:
        """Whether the address is of a list (QIDO-RS) and not of what is in it."""
        return self.request.scope["path"].rstrip("/").rpartition("/")[2] in ("studies", "series", "instances")

    @cached_property
    def accepted(self) -> tuple[Accepted, ...]:
        named = b"accept" in self.request.scope["query_string"] or b"%" in self.request.scope["query_string"]
        parameters = self.request.query_params.getlist("accept") if named else []
        return parse_accept(self.request.headers.getlist("accept"), parameters)

    async def stored(self) -> StoredInstance:
        """The instance that the path names. Raises NotFound."""
        parts = self.parts
        asked = (self.work, parts["study"], parts["series"], parts["instance"], self.institution)
        known = actions.located(*asked)
        return known if known is not None else await run_sync(actions.locate, *asked)

    def url(self, study: str, series: str = "", instance: str = "") -> str:
        """The absolute address of a study, series or instance."""
        return study_url(self.root, study, series, instance)


def study_url(root: str, study: str, series: str = "", instance: str = "") -> str:
    """Address of a study, series or instance below a DICOMweb root (PS3.18 10.1.1)."""
    named = (("studies", study), ("series", series), ("instances", instance))
    return root + "".join(f"/{kind}/{quote(uid, safe='')}" for kind, uid in named if uid)

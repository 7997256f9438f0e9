"""What the pages are given by the app: who may ask, the settings, and from these the few facts that pages repeat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from starlette.requests import Request

from huitong.access.actions import SESSION_COOKIE, SHARE_COOKIE, Access
from huitong.access.work import Work
from huitong.base.caller import host_of
from huitong.base.settings import Settings
from huitong.web.i18n import language_of


@dataclass(frozen=True, slots=True)
class Part:
    """A part of others that this server shows or runs on."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True)
class Sending:
    """What somebody must type to send us a study."""

    ae_title: str
    host: str
    port: int
    #: Codes of institutions, which in the demo are their AE titles too.
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where the pages stand."""

    access: Access
    settings: Settings

    def reader(self, request: Request) -> Work:
        """The key of whoever asks; raises NotSignedIn or NotAllowed."""
        host = host_of(request)
        cookie = request.cookies.get(SESSION_COOKIE)
        share = request.cookies.get(SHARE_COOKIE)
        work = self.access.reader(request.headers.get("authorization"), host, cookie=cookie, share=share)
        request.state.asker = work.asker  # the bar says who is signed in
        return work

    def origin(self, request: Request) -> str:
        """Scheme and authority by which strangers reach us: as set, else as the reader has reached us."""
        return self.settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"

    def institution_names(self, request: Request) -> dict[str, str]:
        """code -> name in the reader's language, in the order of the directory."""
        chinese = language_of(request).locale == "zh_CN"
        return {each.code: each.name if chinese else each.name_en for each in self.access.directory.all()}

    def sending(self, request: Request) -> Sending:
        """As seen from the reader's machine: the name under which the browser reached us."""
        codes = tuple(sorted(ae for each in self.access.directory.all() for ae in each.ae_titles))
        return Sending(self.settings.ae_title, request.url.hostname or "", self.settings.dimse.port, codes)

    @property
    def packages(self) -> Path:
        """node_modules, found beside the OHIF build: `<packages>/@ohif/app/dist`."""
        return self.settings.ohif_path.parents[2]

    @cached_property
    def parts(self) -> list[Part]:
        """What is pinned, as installed here."""
        found = [_npm(self.packages / name) for name in ("@ohif/app", "htmx.org")]
        found += [_pypi(name) for name in ("pydicom", "imagecodecs", "starlette", "uvicorn", "sqlalchemy", "pypinyin")]
        return [part for part in found if part is not None]


def _npm(folder: Path) -> Part | None:
    try:
        said = json.loads((folder / "package.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return Part(str(said.get("name", "")), str(said.get("version", "")), str(said.get("license", "")))


def _pypi(name: str) -> Part | None:
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return None
    licence = _first(said, "License-Expression") or _first(said, "License")
    if not licence or len(licence) > 40:  # the old field holds whole licence texts; classifiers name them
        classifiers = [each for each in said.get_all("Classifier") or [] if each.startswith("License ::")]
        licence = classifiers[0].rsplit(" :: ", 1)[-1] if classifiers else ""
    return Part(said["Name"], said["Version"], licence)


def _first(said: PackageMetadata, field: str) -> str:
    return str((said.get_all(field) or [""])[0])

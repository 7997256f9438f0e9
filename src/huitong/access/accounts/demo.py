"""The accounts of the demo. Everybody knows their password, so it opens nothing without the setting `demo`."""

from __future__ import annotations

from dataclasses import dataclass

from huitong.access.model import Role

PASSWORD = "huitong-demo"  # noqa: S105 - public on purpose


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One of the invented people of the demo's directory."""

    name: str
    display: str
    #: Code; None for the commission.
    institution: str | None
    roles: frozenset[Role]


def _staff(name: str, display: str, institution: str | None, *roles: Role) -> DemoAccount:
    return DemoAccount(name, display, institution, frozenset(roles))


STAFF = (
    _staff("xuewenjing", "薛文静", "YUNCHENG", Role.DOCTOR),
    _staff("limingyuan", "李明远", "TAIYUAN", Role.DOCTOR),
    _staff("guojianjun", "郭建军", "TAIYUAN", Role.CLERK),
    _staff("weiguoqiang", "卫国强", "YUNCHENG", Role.REGISTRAR),
    _staff("supervisor", "监督员", None, Role.SUPERVISOR),
    _staff("admin", "管理员", None, Role.ADMIN),
)
#: The patient of two hospitals.
RESIDENT, RESIDENT_DISPLAY = "wangxiaodong", "王晓东"
NAMES = (RESIDENT, *(each.name for each in STAFF))

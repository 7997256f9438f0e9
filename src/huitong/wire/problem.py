"""Errors as problem details, `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from huitong.base.errors import HuitongError, answer_for

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A status and the JSON document that explains it."""

    status: int
    code: str
    title: str
    detail: str = ""
    #: What the operator can do about it.
    hint: str = ""

    def document(self, instance: str = "") -> bytes:
        """The JSON document. `instance` is the path that was asked for."""
        members = {
            "type": f"urn:huitong:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
            "instance": instance,
        }
        return json.dumps({name: value for name, value in members.items() if value}, ensure_ascii=False).encode()


def problem_of(error: BaseException) -> Problem:
    """How `error` is said to a client. A stranger's exception tells nothing of our insides."""
    answer = answer_for(error)
    if not isinstance(error, HuitongError):
        return Problem(answer.http, answer.code, _title(HuitongError))
    return Problem(answer.http, answer.code, _title(type(error)), error.detail, error.hint)


def _title(cls: type[HuitongError]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]

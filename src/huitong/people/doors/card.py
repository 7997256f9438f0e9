"""The door for terminals that read and issue health cards: JSON over HTTP with the institution's token.

One table of resources. A card that is not taken is answered with problem details (RFC 9457) whose code says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.access.actions import Access
from huitong.access.work import Work
from huitong.base.caller import host_of
from huitong.base.clock import iso
from huitong.base.errors import BadRequest, HuitongError, NotSignedIn
from huitong.base.log import logger
from huitong.people.cards import actions
from huitong.people.cards.model import Card, Issued, Reason, Refusal, Resolved, Terminal
from huitong.wire.problem import MEDIA_TYPE, Problem, problem_of

log = logger(__name__)

Handler = Callable[[Work, Mapping[str, str], Mapping[str, str]], Any]

#: Bodies are a few short fields.
_MOST_BYTES = 16 << 10
#: Why a card is not taken: HTTP status, what is said, and what can be done.
REFUSALS: dict[Reason, tuple[int, str, str]] = {
    Reason.MALFORMED: (400, "This is no code of a health card.", "scan the QR code again, as a whole"),
    Reason.UNKNOWN: (404, "No health card has this number.", "ask for a certificate, and issue a card"),
    Reason.WRONG_KEY: (
        403,
        "The code was made with another key, or altered.",
        "it may be the card of another province",
    ),
    Reason.EXPIRED: (410, "The code has expired.", "let the holder show a fresh one"),
    Reason.AHEAD: (409, "The code is of a later time than now.", "check the clocks of this server and of who shows it"),
    Reason.REPLAYED: (409, "The code was taken before.", "let the holder show a fresh one"),
    Reason.SUSPENDED: (403, "The card is suspended.", "ask for a certificate; an institution can resume the card"),
    Reason.TAKEN: (409, "Another person has a card of this certificate.", "a registrar has to decide first who is who"),
}


def _resolve(work: Work, _path: Mapping[str, str], body: Mapping[str, str]) -> Any:
    terminal = Terminal(body["step"], body["terminal_id"], body["terminal_type"])
    return actions.resolve(work, body["code"], terminal)


def _issue(work: Work, _path: Mapping[str, str], body: Mapping[str, str]) -> Any:
    return actions.issue(work, body["patient_number"])


def _suspend(work: Work, path: Mapping[str, str], _body: Mapping[str, str]) -> Any:
    return actions.suspend(work, path["id"].upper())


def _resume(work: Work, path: Mapping[str, str], _body: Mapping[str, str]) -> Any:
    return actions.resume(work, path["id"].upper())


def _show(work: Work, path: Mapping[str, str], _body: Mapping[str, str]) -> Any:
    return actions.show_card(work, path["id"].upper())


def _figures(work: Work, _path: Mapping[str, str], _body: Mapping[str, str]) -> Any:
    return actions.figures(work)


#: Address -> method -> (fields of the body, all required; handler; what it does).
RESOURCES: dict[str, dict[str, tuple[tuple[str, ...], Handler, str]]] = {
    "/card/resolve": {
        "POST": (
            ("code", "step", "terminal_id", "terminal_type"),
            _resolve,
            "whose card was scanned; the use is recorded, a dynamic code is taken once",
        )
    },
    "/card/issue": {
        "POST": (("patient_number",), _issue, "the card of one's own patient; 201 when new, 200 when it was there")
    },
    "/card/figures": {"GET": ((), _figures, "cards issued, active, temporary, suspended; uses by step")},
    "/card/{id}": {"GET": ((), _show, "a card as it stands")},
    "/card/{id}/suspend": {"POST": ((), _suspend, "the card is not taken any more")},
    "/card/{id}/resume": {"POST": ((), _resume, "the card is taken again")},
}


def routes(access: Access) -> list[BaseRoute]:
    """For the app, before the pages."""
    return [Route(path, _endpoint(access, by_method), methods=list(by_method)) for path, by_method in RESOURCES.items()]


def _endpoint(
    access: Access, by_method: Mapping[str, tuple[tuple[str, ...], Handler, str]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            fields, handler, _ = by_method["GET" if request.method == "HEAD" else request.method]
            work = access.by_token(request.headers.get("authorization"), host_of(request))
            body = _fields(await _read(request), fields) if fields else {}
            return _answer(await run_sync(handler, work, request.path_params, body), request)
        except HuitongError as error:
            return _problem(problem_of(error), request, signed_in=not isinstance(error, NotSignedIn))

    return endpoint


async def _read(request: Request) -> bytes:
    """The body. Raises BadRequest where it is longer than any that makes sense."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise BadRequest(f"the body is longer than {_MOST_BYTES} bytes")
    return bytes(body)


def _fields(body: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """Exactly these, each a text. Raises BadRequest."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(said, dict) or set(said) != set(names):
        raise BadRequest(f"the body must be a JSON object with {', '.join(names)}, and nothing else")
    if not all(isinstance(value, str) and value for value in said.values()):
        raise BadRequest(f"{', '.join(names)} must be texts that are not empty")
    return said


def _answer(found: Any, request: Request) -> Response:
    if isinstance(found, Refusal):
        status, title, hint = REFUSALS[found.reason]
        return _problem(Problem(status, found.reason, title, hint=hint), request)
    if isinstance(found, Issued):
        return _json(card_json(found.card), 201 if found.new else 200)
    if isinstance(found, Card):
        return _json(card_json(found))
    return _json(resolved_json(found) if isinstance(found, Resolved) else asdict(found))


def card_json(card: Card) -> dict[str, Any]:
    """A card and whose it is; times as RFC 3339."""
    return {
        "id": card.card_id,
        "attribute": int(card.attribute),
        "state": int(card.state),
        "issued_at": iso(card.issued_at),
        "institution": card.institution,
        "key_version": card.key_version,
        "replaced_by": card.replaced_by,
        "certificate": dict(zip(("type", "number"), card.certificate, strict=True)),
        "person": {
            "id": card.holder.exchange_id,
            "name": card.holder.name,
            "sex": card.holder.sex,
            "birth_date": _dashed(card.holder.birth_date),
        },
    }


def resolved_json(found: Resolved) -> dict[str, Any]:
    """The card, the asking institution's own numbers of the person, and the use as it was recorded."""
    used: dict[str, str | datetime | bool] = asdict(found.terminal)
    return {
        "card": card_json(found.card),
        "patient_numbers": found.numbers,
        "use": {**used, "at": iso(found.at), "dynamic": found.dynamic},
    }


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 else day


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, {"Cache-Control": "no-store"}, "application/json")


def _problem(problem: Problem, request: Request, *, signed_in: bool = True) -> Response:
    headers = {"Cache-Control": "no-store"} | ({} if signed_in else {"WWW-Authenticate": 'Bearer realm="huitong"'})
    return Response(problem.document(request.url.path), problem.status, headers, MEDIA_TYPE)

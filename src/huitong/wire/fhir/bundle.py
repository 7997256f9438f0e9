"""The Bundle that answers a search (FHIR R4 3.1.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from huitong.wire.fhir.outcome import Issue, outcome
from huitong.wire.fhir.resources import Resource, filled
from huitong.wire.fhir.search import AFTER, Asked


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what a search found."""

    resources: Sequence[Resource]
    #: How many there are on all pages; None when nobody counted.
    total: int | None = None
    #: What the search is to be given as `after` for the page behind this; empty when there is none.
    next: str = ""
    #: For `$match` and its like: how good each is, 0 to 1.
    scores: Sequence[float] = ()
    #: Extensions of each entry's `search`, as the value of match-grade.
    grades: Sequence[str] = ()


MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"


def searchset(page: Page, root: str, links: Sequence[tuple[str, str]] = (), ignored: Sequence[str] = ()) -> Resource:
    """The bundle. `root` is the absolute address of the FHIR root, `links` pairs of relation and address.

    What was `ignored` is said in an entry of the mode `outcome`.
    """
    entries = [_entry(page, at, root) for at in range(len(page.resources))]
    if ignored:
        issues = [Issue("warning", "not-supported", f"search parameter `{name}` is not known here") for name in ignored]
        entries.append({"resource": outcome(issues), "search": {"mode": "outcome"}})
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({} if page.total is None else {"total": page.total}),
        **filled({"link": [{"relation": relation, "url": url} for relation, url in links], "entry": entries}),
    }


def _entry(page: Page, at: int, root: str) -> Resource:
    resource = page.resources[at]
    search: Resource = {"mode": "match"}
    if page.scores:
        search["score"] = round(page.scores[at], 4)
    if page.grades:
        search["extension"] = [{"url": MATCH_GRADE, "valueCode": page.grades[at]}]
    return {"fullUrl": f"{root}/{resource['resourceType']}/{resource['id']}", "resource": resource, "search": search}


def page_links(address: str, asked: Asked, next_after: str) -> list[tuple[str, str]]:
    """`self` as it was understood, and `next`; `address` is that of the resource type."""
    here = [*asked.used, *([(AFTER, asked.search.after)] if asked.search.after else [])]
    links = [("self", _url(address, here))]
    if next_after:
        links.append(("next", _url(address, [*asked.used, (AFTER, next_after)])))
    return links


def _url(address: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{address}?{urlencode(pairs)}" if pairs else address

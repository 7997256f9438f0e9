"""The Store Instances Response: what became of each instance of a STOW-RS request, and the status of the whole.

PS3.18 10.5.3 and annex I.2, as DICOM JSON model; `native_model` makes XML of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: PS3.18 table I.2-2, Failure Reason, where no class of `base.errors` says another.
PROCESSING_FAILURE = 0x0110
CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is kept."""

    sop_class_uid: str
    sop_instance_uid: str
    retrieve_url: str
    #: PS3.18 table I.2-1; None when there is nothing to warn about.
    warning_reason: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance, or a part that could not be read as one, that is not kept."""

    failure_reason: int
    #: Both None when the part did not tell: then it is reported among the Other Failures.
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    #: For people; goes into (0000,0902) Error Comment.
    comment: str = ""


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """Status and response module."""

    status: int
    dataset: dict[str, Any]


def store_response(stored: Sequence[Stored], failed: Sequence[Failed], study_url: str | None = None) -> StoreResponse:
    """The answer to a request. `study_url` is said only where all that was stored is in that one study."""
    known = [item for item in failed if item.sop_instance_uid]
    other = [item for item in failed if not item.sop_instance_uid]
    dataset: dict[str, Any] = {}
    if stored and study_url:
        dataset["00081190"] = _element("UR", study_url)
    sequences = {
        "00081198": [_failed_item(item) for item in known],
        "00081199": [_stored_item(item) for item in stored],
        "0008119A": [_failed_item(item) for item in other],
    }
    dataset |= {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}
    return StoreResponse(_status(stored, failed), dataset)


def _status(stored: Sequence[Stored], failed: Sequence[Failed]) -> int:
    """PS3.18 table 10.5.3-1: 200 all stored, 202 some or with warnings, 409 none."""
    if not stored:
        return 409
    return 202 if failed or any(item.warning_reason is not None for item in stored) else 200


def _stored_item(item: Stored) -> dict[str, Any]:
    warning = {} if item.warning_reason is None else {"00081196": _element("US", item.warning_reason)}
    return {
        "00081150": _element("UI", item.sop_class_uid),
        "00081155": _element("UI", item.sop_instance_uid),
        "00081190": _element("UR", item.retrieve_url),
        **warning,
    }


def _failed_item(item: Failed) -> dict[str, Any]:
    found: dict[str, Any] = {"00000902": _element("LO", item.comment[:64])} if item.comment else {}
    if item.sop_class_uid:
        found["00081150"] = _element("UI", item.sop_class_uid)
    if item.sop_instance_uid:
        found["00081155"] = _element("UI", item.sop_instance_uid)
    found["00081197"] = _element("US", item.failure_reason)
    return found


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}

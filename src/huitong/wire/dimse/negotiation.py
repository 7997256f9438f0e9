"""What we answer to a proposal of presentation contexts: pure choice, from the tables in `uids`."""

from __future__ import annotations

from huitong.wire.dimse.pdu import AssociateAccept, AssociateRequest, ContextAnswer, ContextProposal, ContextResult
from huitong.wire.dimse.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION,
    IMPLICIT_VR_LITTLE_ENDIAN,
    LAST_RESORT,
    NOT_STORAGE,
)
from huitong.wire.dimse.user_items import UserInformation


def choose_transfer_syntax(proposed: tuple[str, ...]) -> str:
    """The first proposed, except that Explicit VR goes before Implicit VR and the last resorts go last."""
    chosen = next((syntax for syntax in proposed if syntax not in LAST_RESORT), proposed[0])
    if chosen == IMPLICIT_VR_LITTLE_ENDIAN and EXPLICIT_VR_LITTLE_ENDIAN in proposed:
        return EXPLICIT_VR_LITTLE_ENDIAN
    return chosen


def answer_context(proposal: ContextProposal) -> ContextAnswer:
    """Accepted, unless the abstract syntax is known for not being storage."""
    syntax = choose_transfer_syntax(proposal.transfer_syntaxes)
    if proposal.abstract_syntax in NOT_STORAGE:
        return ContextAnswer(proposal.context_id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, syntax)
    return ContextAnswer(proposal.context_id, ContextResult.ACCEPTANCE, syntax)


def negotiate(request: AssociateRequest, max_pdu_bytes: int) -> AssociateAccept:
    """The acceptance of `request` by a storage and verification SCP that takes P-DATA-TF of `max_pdu_bytes`.

    Asynchronous operations, roles, extended negotiation and user identity are left unanswered, which the standard
    reads as: one operation at a time, the requestor is SCU, no extensions, identity not checked (PS3.7 D.3.3).
    """
    return AssociateAccept(
        called_aet=request.called_aet,
        calling_aet=request.calling_aet,
        contexts=tuple(answer_context(proposal) for proposal in request.contexts),
        user=UserInformation(
            max_pdu_bytes=max_pdu_bytes,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        ),
    )

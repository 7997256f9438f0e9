import pytest
from pydicom.uid import UID
from pynetdicom import sop_class

from huitong.wire.dimse import AssociateRequest, ContextProposal, UserInformation, negotiate
from huitong.wire.dimse.negotiation import choose_transfer_syntax
from huitong.wire.dimse.pdu import ContextResult
from huitong.wire.dimse.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION, NOT_STORAGE, VERIFICATION

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, J2K, PRIVATE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.9.9"


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ((IMPLICIT,), IMPLICIT),
        ((IMPLICIT, EXPLICIT), EXPLICIT),
        ((EXPLICIT, IMPLICIT), EXPLICIT),
        ((IMPLICIT, BIG, EXPLICIT), EXPLICIT),
        ((BIG,), BIG),
        ((BIG, IMPLICIT), IMPLICIT),
        ((DEFLATED, BIG), DEFLATED),
        ((DEFLATED, JPEG), JPEG),
        ((JPEG, EXPLICIT, IMPLICIT), JPEG),
        ((IMPLICIT, JPEG), IMPLICIT),
        ((J2K, JPEG), J2K),
        ((PRIVATE,), PRIVATE),
        ((BIG, PRIVATE), PRIVATE),
    ],
)
def test_the_transfer_syntax_chosen(proposed, chosen):
    assert choose_transfer_syntax(proposed) == chosen


def _results(*abstract_syntaxes: str) -> list[ContextResult]:
    contexts = tuple(ContextProposal(2 * n + 1, uid, (IMPLICIT,)) for n, uid in enumerate(abstract_syntaxes))
    return [answer.result for answer in negotiate(AssociateRequest("HUITONG", "CT1", contexts), 262144).contexts]


def _classes(group: dict[str, str]) -> list[str]:
    return list(group.values())


def test_every_storage_class_that_pynetdicom_knows_is_accepted():
    assert set(_results(*_classes(sop_class._STORAGE_CLASSES)[:120])) == {ContextResult.ACCEPTANCE}
    assert not set(_classes(sop_class._STORAGE_CLASSES)) & set(NOT_STORAGE)


def test_verification_unknown_and_private_classes_are_accepted():
    assert set(_results(VERIFICATION, "1.2.840.10008.5.1.4.1.1.99999", "1.2.826.0.1.3680043.9", "nonsense")) == {
        ContextResult.ACCEPTANCE
    }


def test_every_other_service_class_that_pynetdicom_knows_is_refused():
    storage_like = {
        "_STORAGE_CLASSES", "_VERIFICATION_CLASSES", "_NON_PATIENT_OBJECT_CLASSES", "_SERVICE_CLASSES",
        "_STUDY_ROOT", "_DISPLAY_SYSTEM_INSTANCES",
    }  # fmt: skip
    others = {
        uid
        for name, group in vars(sop_class).items()
        if name.endswith("_CLASSES") and isinstance(group, dict) and name not in storage_like
        for uid in group.values()
    }
    # PS3.4 GG non-patient objects, and what has "Storage" as its whole service, are kept by C-STORE as well.
    others = {uid for uid in others if not UID(uid).name.endswith("Storage")}
    assert len(others) > 60
    assert others <= set(NOT_STORAGE) | {VERIFICATION}, sorted(UID(u).name for u in others - set(NOT_STORAGE))
    assert set(_results(*sorted(others - {VERIFICATION})[:120])) == {ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED}


def test_our_side_says_who_it_is_and_leaves_extensions_unanswered():
    request = AssociateRequest("HUITONG", "CT1", (), UserInformation(asynchronous=(0, 0)))
    accept = negotiate(request, 16384)
    assert accept.user == UserInformation(16384, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION)
    assert UID(IMPLEMENTATION_CLASS_UID).is_valid
    assert len(IMPLEMENTATION_VERSION) <= 16

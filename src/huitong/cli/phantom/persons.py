"""Two small studies that make the demo's patients people: one of a patient of another hospital, one of who may be him.

The pictures are those of an MR that pydicom ships, the persons are invented; the citizen number is of a region that
there is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom

from huitong.cli.phantom import ct
from huitong.cli.phantom.header import YUNCHENG, Hospital, Patient, part10, patient_module, study_module, uid
from huitong.cli.phantom.header import dataset as made_of

#: The patient of the CT in Taiyuan, under the number that he has in Yuncheng: the certificate says so.
ELSEWHERE = Patient("Wang^Xiaodong=王^晓东", "YC0070012", "19680214", "M", "056Y", "1.75", "74", ct.PATIENT.certificate)
#: Sounds the same and was born that day, without a certificate: a human has to say.
MAYBE = Patient("Wang^Xiaodong=王^小东", "YC0123456", "19680214", "M", "057Y", "1.74", "75")
_PICTURE = "MR_small.dcm"


def persons_files() -> Iterator[bytes]:
    """The study of each, in the order in which they have to be registered."""
    yield _file(11, ELSEWHERE, YUNCHENG, "20240605", "头颅平扫 MR head")
    yield _file(12, MAYBE, YUNCHENG, "20251118", "颈椎平扫 MR cervical spine")


def _file(seed: int, patient: Patient, hospital: Hospital, date: str, description: str) -> bytes:
    made = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / _PICTURE)
    made.walk(lambda ds, element: element.tag.is_private and ds.__delitem__(element.tag))
    described = patient_module(patient, hospital) | study_module(seed, "MR", date, "091500", description, hospital)
    made.update(
        made_of(**described, SeriesInstanceUID=uid("MR", seed, "series"), SOPInstanceUID=uid("MR", seed, "sop"))
    )
    return part10(made, made.file_meta.TransferSyntaxUID)

"""Modality codes (PS3.3 C.7.3.1.1.1) with the names the pages give them; the first are those offered in the search."""

from __future__ import annotations


def _(message: str) -> str:
    """Marks a message for the catalogue; it is translated where it is shown."""
    return message


NAMES = {
    "CT": _("Computed tomography"),
    "MR": _("Magnetic resonance"),
    "DX": _("Digital radiography"),
    "CR": _("Computed radiography"),
    "US": _("Ultrasound"),
    "MG": _("Mammography"),
    "XA": _("Angiography"),
    "RF": _("Fluoroscopy"),
    "NM": _("Nuclear medicine"),
    "PT": _("Positron emission tomography"),
    "ECG": _("Electrocardiogram"),
    "ES": _("Endoscopy"),
    "SM": _("Slide microscopy"),
    "IO": _("Intra-oral radiography"),
    "PX": _("Panoramic radiography"),
    "OP": _("Ophthalmic photography"),
    "OPT": _("Ophthalmic tomography"),
    "IVUS": _("Intravascular ultrasound"),
    "BMD": _("Bone densitometry"),
    "SC": _("Secondary capture"),
    "DOC": _("Document"),
    "SR": _("Structured report"),
    "KO": _("Key objects"),
    "PR": _("Presentation state"),
    "SEG": _("Segmentation"),
    "REG": _("Registration"),
    "RTSTRUCT": _("Radiotherapy structures"),
    "RTPLAN": _("Radiotherapy plan"),
    "RTDOSE": _("Radiotherapy dose"),
    "RTIMAGE": _("Radiotherapy image"),
    "OT": _("Other"),
}
#: Offered in the search form; the rest come along with these.
OFFERED = tuple(NAMES)[:16]

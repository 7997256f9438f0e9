"""The files that a DICOMDIR lists (PS3.3 annex F, PS3.10 clause 8), found on the medium however it is mounted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom

#: (0002,0002) MediaStorageSOPClassUID = Media Storage Directory Storage; file meta is always Explicit VR Little Endian.
_MARK = b"\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10"


def is_dicomdir(head: bytes) -> bool:
    """Whether a file that begins with `head` is a media directory, by its storage class and not by its name."""
    return head[128:132] == b"DICM" and _MARK in head


def referenced_files(dicomdir: Path) -> Iterator[tuple[str, Path | None]]:
    """(file id, its path) for each directory record that names a file; with None, the first is what is wrong."""
    try:
        records = pydicom.dcmread(dicomdir).get("DirectoryRecordSequence") or []
        ids = [record.ReferencedFileID for record in records if record.get("ReferencedFileID")]
    except Exception as error:  # whatever a parser makes of a damaged directory
        yield f"the directory cannot be read: {type(error).__name__}", None
        return
    for file_id in ids:
        components = [file_id] if isinstance(file_id, str) else [str(part) for part in file_id]
        listed = "/".join(components)
        if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in components):
            yield f"lists {listed}, which leads outside the medium", None
            continue
        file = _find(dicomdir.parent, components)
        yield (listed, file) if file else (f"lists {listed}, which is not there", None)


def _find(folder: Path, components: list[str]) -> Path | None:
    """The file, also where a mount shows names in lower case or with a version number (ISO 9660)."""
    place = folder
    for part in components:
        if not (place / part).exists():
            try:
                alike = [entry for entry in place.iterdir() if entry.name.split(";")[0].upper() == part.upper()]
            except OSError:
                return None
            if not alike:
                return None
            place = alike[0]
        else:
            place = place / part
    return place

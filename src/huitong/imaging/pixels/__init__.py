"""Pictures from stored objects: decoded frames, rendered images, ECG sheets, documents, transcoded instances.

Pure functions over a DICOM JSON header (PS3.18 annex F) and bytes: no store, no HTTP, no clock.
`rendered.rendered` is the entry for the HTTP door, `thumbnail.thumbnail` the one for ingest.
"""

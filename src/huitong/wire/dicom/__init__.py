"""DICOM as bytes: PS3.10 files and PS3.5 data sets, read once into the JSON model of PS3.18 annex F."""

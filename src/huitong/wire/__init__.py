"""Outside languages, pure: bytes and text in, plain values out. No I/O, no clock, no room above `base`."""

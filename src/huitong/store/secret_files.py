"""Files with a key, which is for the owner's eyes alone."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from huitong.base.errors import SettingsError
from huitong.store.files import sync_folder


def make_secret(file: Path, content: bytes) -> None:
    """The file is there, durably; of two processes that make it at once one does."""
    new = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    with suppress(FileExistsError):
        file.hardlink_to(new)
    new.unlink()
    sync_folder(file.parent)


def read_secret(file: Path) -> bytes:
    """Raises SettingsError for one that cannot be read, or can by everybody."""
    try:
        if file.stat().st_mode & 0o007:
            raise SettingsError(f"{file} holds a key and may be read by everybody on this machine: chmod o= it")
        return file.read_bytes()
    except OSError as e:
        raise SettingsError(f"{file}: {e.strerror}") from None

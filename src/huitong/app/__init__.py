"""Where everything is joined: the server with all its doors and followers, and the operator's one-off work."""

from huitong.app.archive import (
    Archive,
    cancel_move,
    check_audit,
    load_directory,
    move_store,
    open_archive,
    reindex,
    show_directory,
    verify,
)
from huitong.app.serve import Serving, serve

__all__ = [
    "Archive",
    "Serving",
    "cancel_move",
    "check_audit",
    "load_directory",
    "move_store",
    "open_archive",
    "reindex",
    "serve",
    "show_directory",
    "verify",
]

"""Where everything is joined: the server with all its doors and followers, and the operator's one-off work."""

from huitong.app.archive import (
    Archive,
    audit_key,
    cancel_move,
    check_audit,
    export_audit,
    load_directory,
    make_audit_head,
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
    "audit_key",
    "cancel_move",
    "check_audit",
    "export_audit",
    "load_directory",
    "make_audit_head",
    "move_store",
    "open_archive",
    "reindex",
    "serve",
    "show_directory",
    "verify",
]

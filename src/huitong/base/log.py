"""Log lines: structured, on standard error, for an operator who must not learn from them who was examined.

The rule: no patient data. What a line may name is what a machine needs to be helped: UIDs, AE titles, addresses,
institution codes, counts, sizes, times. Names, patient numbers, birth dates, accession numbers and free text of
objects stay out; as a second line of defence, keys of that kind are masked here whatever the caller does.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

import structlog

#: Keys whose values say who somebody is; PS3.15 table E.1-1 names these attributes among those to be removed.
PERSONAL = frozenset(
    {
        "patient_name", "patient_id", "patient_birth_date", "patient_sex", "patient_address", "accession_number",
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAddress", "AccessionNumber",
        "token", "authorization", "Authorization",
    }
)  # fmt: skip
_MASK = "***"
#: Libraries whose own lines quote what they were given: values of elements, search terms in request lines.
TALKATIVE = ("pydicom", "uvicorn.access")
#: Libraries that tell at length what goes well.
CHATTY = ("alembic", "uvicorn.error")


def configure(log_format: str = "text", log_level: str = "info", stream: TextIO | None = None) -> None:
    """Send all log lines to `stream` (standard error), the libraries' too, as aligned text or as a JSON object each."""
    target = stream or sys.stderr
    shared: list[Any] = [
        _say_about,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask_personal,
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False)]
        if log_format == "json"
        # Plain tracebacks: the pretty ones print local variables, and those hold whole headers.
        else [
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), pad_event_to=32, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # tests and the CLI configure more than once in a process
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log = logger(__name__)`; call it as `log.info("study settled", study_uid=uid)`."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return bound


def shape_of(path: str) -> str:
    """A path of a URL as a log may have it: our own words and UIDs stay, what may be a person's number does not."""
    return "/".join(part if _HARMLESS.fullmatch(part) else "*" for part in path.split("/")[:16])


#: Fixed words of our addresses, FHIR's types and operations, and UIDs (PS3.5 9.1).
_HARMLESS = re.compile(r"|[.$]?[a-z][a-z-]{1,23}|[A-Z][A-Za-z]{4,23}|[0-2](\.(0|[1-9][0-9]*)){3,31}", re.ASCII)


def new_request_id() -> str:
    """Twelve hexadecimal digits that tie the lines of one request or association together."""
    return secrets.token_hex(6)


@contextmanager
def request(request_id: str, **about: object) -> Iterator[None]:
    """Every line logged inside, also by awaited calls, carries `request_id` and what `about` says."""
    token = _ABOUT.set({**_ABOUT.get(), "request_id": request_id, **about})
    try:
        yield
    finally:
        _ABOUT.reset(token)


#: What lines logged here and now are about.
_ABOUT: ContextVar[dict[str, object]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


def _say_about(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**_ABOUT.get(), **event}


def _mask_personal(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in PERSONAL.intersection(event):
        event[key] = _MASK
    return event

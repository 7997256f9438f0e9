from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from huitong.base import log


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    for name in (*log.TALKATIVE, *log.CHATTY):
        logging.getLogger(name).setLevel(logging.NOTSET)


def _lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_time_level_and_what_was_said() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    log.logger("huitong.test").info("study settled", institution="TAIYUAN", count=3)
    (line,) = _lines(out)
    assert line.items() >= {"event": "study settled", "institution": "TAIYUAN", "count": 3, "level": "info"}.items()
    assert str(line["timestamp"]).endswith("Z")


def test_lines_of_libraries_come_in_the_same_form() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    logging.getLogger("asyncio").warning("slow %s", "callback")
    (line,) = _lines(out)
    assert line.items() >= {"event": "slow callback", "logger": "asyncio", "level": "warning"}.items()


def test_lines_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    log.configure("json", "warning", out)
    log.logger("x").info("quiet")
    log.logger("x").warning("loud")
    assert [line["event"] for line in _lines(out)] == ["loud"]


def test_everything_said_inside_a_request_carries_its_id() -> None:
    out = io.StringIO()
    log.configure("json", "info", out)
    request_id = log.new_request_id()
    with log.request(request_id, peer="127.0.0.1"):
        log.logger("x").info("inside")
    log.logger("x").info("outside")
    inside, outside = _lines(out)
    assert (inside["request_id"], inside["peer"]) == (request_id, "127.0.0.1")
    assert "request_id" not in outside


@pytest.mark.parametrize("key", sorted(log.PERSONAL))
def test_a_key_that_says_who_somebody_is_is_masked(key: str) -> None:
    out = io.StringIO()
    log.configure("text", "info", out)
    log.logger("x").info("found", **{key: "Zhang^San"})
    assert "Zhang" not in out.getvalue()
    assert key in out.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_shows_no_local_variables(log_format: str) -> None:
    out = io.StringIO()
    log.configure(log_format, "info", out)
    header = {"00100010": "Zhang^San"}
    try:
        assert header["00100020"]
    except KeyError:
        log.logger("x").exception("could not read")
    assert "KeyError: '00100020'" in out.getvalue()
    assert "Zhang" not in out.getvalue()


def test_libraries_that_quote_what_they_were_given_stay_quiet() -> None:
    out = io.StringIO()
    log.configure("text", "info", out)
    logging.getLogger("uvicorn.access").info("GET /dicom-web/studies?PatientName=Zhang")
    logging.getLogger("pydicom").warning("Invalid value Zhang^San")
    assert out.getvalue() == ""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.applications import Starlette
from tests.web.browsing import Browser

from huitong.web.files import IMMUTABLE, REVALIDATE, Files, under

SCRIPT = "console.log('汇通');\n" * 500


@pytest.fixture
def client(tmp_path: Path) -> Browser:
    (tmp_path / "deep").mkdir()
    (tmp_path / "app.bundle.0f6159c501addfe9.js").write_text(SCRIPT, "utf-8")
    (tmp_path / "plain.js").write_text(SCRIPT, "utf-8")
    (tmp_path / "deep" / "picture.png").write_bytes(b"\x89PNG" + bytes(1000))
    return Browser(Starlette(routes=[Files(under(tmp_path))]))


def test_text_goes_out_compressed_to_those_who_take_it(client: Browser) -> None:
    answer = client.get("/plain.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(SCRIPT) / 10
    assert answer.text == SCRIPT
    assert answer.headers["content-type"].startswith("text/javascript")


def test_and_as_it_is_to_the_others(client: Browser) -> None:
    answer = client.get("/plain.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.text == SCRIPT
    assert answer.headers["vary"] == "Accept-Encoding"


def test_what_a_browser_has_is_not_sent_again(client: Browser) -> None:
    etag = client.get("/plain.js").headers["etag"]
    again = client.get("/plain.js", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/plain.js", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/app.bundle.0f6159c501addfe9.js", IMMUTABLE), ("/plain.js", REVALIDATE), ("/plain.js?v=1a2b", IMMUTABLE)],
)
def test_names_with_a_digest_are_kept_for_good(client: Browser, path: str, kept: str) -> None:
    assert client.get(path).headers["cache-control"] == kept


def test_pictures_are_sent_as_they_are_and_by_range(client: Browser) -> None:
    answer = client.get("/deep/picture.png", headers={"range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"\x89PNG")


@pytest.mark.parametrize("path", ["/other.js", "/../files.py", "/deep", "/"])
def test_nothing_else_is_there(client: Browser, path: str) -> None:
    assert client.get(path).status_code == 404


def test_only_reading_is_possible(client: Browser) -> None:
    assert client.ask("HEAD", "/plain.js").status_code == 200
    assert client.ask("POST", "/plain.js").status_code == 404


def test_the_compressed_form_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.css"
    path.write_text("a{}", "utf-8")
    made = Files({"/a.css": path})._pack(path)
    assert made is not None
    assert gzip.decompress(made[0]) == b"a{}"

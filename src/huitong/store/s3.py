"""Requests to an S3-compatible object store: the client from its URL, faults in our own words, everything counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore import exceptions
from obstore.store import S3Store

from huitong.base import metrics
from huitong.base.errors import SettingsError, StoreDamaged, StoreUnavailable
from huitong.store.record import Buffer

if TYPE_CHECKING:  # they exist for the type checker only
    from obstore.store import ClientConfig, RetryConfig

#: Larger objects go in parts of this size, as many at once.
_PART_BYTES, _PARTS_AT_ONCE = 5 << 20, 3
_CLIENT: ClientConfig = {"connect_timeout": "3s", "pool_idle_timeout": "60s"}
#: How long a request may take in all: a sender waits for it, and an object store may hang. One of 8 MB on a slow line
#: takes 10 s. Whatever is larger has a minute, and so has each part of what goes in parts.
_SMALL, _LARGE, _PROBE = "12s", "60s", "4s"
_SMALL_BYTES = 16 << 20
#: What is tried again by itself; past it the sender is told to try again.
_RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
#: Options of the URL and what S3 clients call them.
_OPTIONS = {"endpoint": "endpoint", "region": "region", "virtual_hosted": "virtual_hosted_style_request"}

#: In the words of the client, which has no class for it; the number alone may stand in an address or a name.
_BEYOND_THE_END = re.compile(r"status code: 416|<Code>InvalidRange|out of bounds")


class S3:
    """One bucket, below one prefix; thread-safe. `kind` names its requests in the metrics."""

    def __init__(self, url: str, kind: str, *, key_id: str = "", secret: str = "") -> None:
        self.kind = kind
        self._store = _client(url, kind, key_id, secret, _SMALL)
        self._large = _client(url, kind, key_id, secret, _LARGE)
        self._probe = _client(url, kind, key_id, secret, _PROBE, max_retries=0)

    def put(self, name: str, data: bytes) -> None:
        """Durable when it returns, as the object store promises it. Raises StoreUnavailable."""
        with self._counted("put", len(data)):
            obstore.put(self._store if len(data) <= _SMALL_BYTES else self._large, name, data, use_multipart=False)

    def put_file(self, name: str, path: Path, size: int) -> None:
        """As `put`, in parts."""
        parts = -(-size // _PART_BYTES)
        with self._counted("put", size, requests=parts + 2 if parts > 1 else 1):
            obstore.put(
                self._large, name, path, use_multipart=parts > 1, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )

    def get(self, name: str, offset: int, end: int) -> tuple[Buffer, int]:
        """The bytes from `offset` to before `end`, as far as there are any, and the object's size.

        Raises StoreDamaged if there is no such object or it ends before `offset`, StoreUnavailable.
        """
        with self._counted("get"):
            found = obstore.get(self._store, name, options={"range": (offset, end)})
            size, data = found.meta["size"], memoryview(found.bytes())
        self._add_bytes("get", len(data))
        return data, size

    def size(self, name: str) -> int:
        """Raises StoreDamaged if there is no such object, StoreUnavailable."""
        with self._counted("head"):
            return obstore.head(self._store, name)["size"]

    def names(self, after: str = "") -> Iterator[tuple[str, int]]:
        """Names and sizes of all objects behind `after`, in order."""
        with self._counted("list"):
            pages = obstore.list(self._store, offset=after or None, chunk_size=1000)
            for page in pages:
                for each in page:
                    yield each["path"], each["size"]

    def delete(self, name: str) -> None:
        """Also when it is gone already."""
        with self._counted("delete"):
            try:
                obstore.delete(self._store, name)
            except (exceptions.NotFoundError, FileNotFoundError):
                return

    def check(self) -> None:
        """Raises StoreUnavailable unless the object store answers, within seconds."""
        with suppress(StoreDamaged), self._counted("head"):
            obstore.head(self._probe, "nothing")

    def link(self, name: str, expires_s: float) -> str:
        """A URL by which anybody can read the object for so long."""
        return obstore.sign(self._store, "GET", name, timedelta(seconds=expires_s))

    @contextmanager
    def _counted(self, operation: str, size: int = 0, requests: int = 1) -> Iterator[None]:
        metrics.S3_REQUESTS.labels(self.kind, operation).inc(requests)
        try:
            yield
        except (exceptions.NotFoundError, FileNotFoundError) as e:
            raise StoreDamaged("an object is missing from the object store") from e
        except (exceptions.BaseError, OSError) as e:
            if operation == "get" and _BEYOND_THE_END.search(str(e)):
                raise StoreDamaged("an object ends before what is in the index") from e
            metrics.S3_FAULTS.labels(self.kind, operation).inc()
            raise StoreUnavailable(f"the object store: {type(e).__name__}") from e
        self._add_bytes(operation, size)

    def _add_bytes(self, operation: str, size: int) -> None:
        if size:
            metrics.S3_BYTES.labels(self.kind, operation).inc(size)


def _client(
    url: str, kind: str, key_id: str, secret: str, timeout: str, max_retries: int = _RETRY["max_retries"]
) -> S3Store:
    at = urlsplit(url)
    given = dict(parse_qsl(at.query))
    config: dict[str, Any] = {"region": "us-east-1", **{_OPTIONS[name]: value for name, value in given.items()}}
    if "virtual_hosted_style_request" in config:
        config["virtual_hosted_style_request"] = config["virtual_hosted_style_request"] == "yes"
    if key_id:
        config |= {"access_key_id": key_id, "secret_access_key": secret}
    prefix = "/".join(part for part in (at.path.strip("/"), kind) if part)
    retry: RetryConfig = {**_RETRY, "max_retries": max_retries}
    client: ClientConfig = {
        **_CLIENT,
        "timeout": timeout,
        "allow_http": config.get("endpoint", "").startswith("http://"),
    }
    # Every record has digests of its own, which merging and `verify` hold it against: no second one for the request.
    config["unsigned_payload"] = True
    try:
        return S3Store(at.netloc, prefix=prefix, client_options=client, retry_config=retry, **config)
    except (exceptions.BaseError, ValueError) as e:
        raise SettingsError(f"`blobs`: {e}") from None

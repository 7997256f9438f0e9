"""An OpenID Provider that others wrote, running as a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm
from tests.certificates import Certificate
from tests.serving import free_port

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
_SCRIPT = Path(__file__).with_name("provider.mjs")
SECRET = "a secret of forty characters, for a test"


def made_key(kid: str) -> dict[str, Any]:
    """A private JWK."""
    said: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(generate_private_key(65537, 2048)))
    return {
        **{name: value for name, value in said.items() if name != "key_ops"},
        "kid": kid,
        "use": "sig",
        "alg": "RS256",
    }


@cache
def _node() -> int:
    """Major version; 0 without."""
    if shutil.which("node") is None:
        return 0
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.strip().removeprefix("v").partition(".")[0])


class Provider:
    """Signs anybody in; started, stopped and made to lie as tests want it."""

    def __init__(
        self,
        base: str,
        *,
        in_id_token: bool = True,
        client: dict[str, Any] | None = None,
        methods: list[str] | None = None,
        tls: Certificate | None = None,
    ) -> None:
        """`base`: address of the one client."""
        if _node() < 20 or not (NODE_MODULES / "oidc-provider").is_dir():
            pytest.skip("Node 20 or oidc-provider is not installed; `make setup` does the latter")
        self.port, self.keys = free_port(), [made_key("one")]
        self._tls = [str(tls.file), str(tls.key)] if tls is not None else None
        self.issuer = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self._in_id_token, self._stranger = in_id_token, made_key("one")
        self.client = {
            "client_id": "huitong",
            "client_secret": SECRET,
            "redirect_uris": [f"{base}/sign-in/openid/back"],
            "post_logout_redirect_uris": [f"{base}/sign-in"],
            "backchannel_logout_uri": f"{base}/auth/openid/ended",
            "backchannel_logout_session_required": True,
            **(client or {}),
        }
        self.client = {name: value for name, value in self.client.items() if value is not None}
        self._methods = methods or ["client_secret_basic", "client_secret_post", "private_key_jwt"]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        given = {
            "port": self.port, "modules": str(NODE_MODULES), "client": self.client, "keys": self.keys,
            "inIdToken": self._in_id_token, "stranger": self._stranger, "methods": self._methods, "tls": self._tls,
        }  # fmt: skip
        command = ["node", str(_SCRIPT), json.dumps(given)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.stop()
            raise AssertionError(f"the provider did not start at port {self.port}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=20)
            self._process = None

    def rotate(self) -> None:
        """Another key under another id; the old one is gone."""
        self.stop()
        self.keys = [made_key("two")]
        self.start()

    @contextmanager
    def tampering(self, how: str) -> Iterator[None]:
        address = f"http://127.0.0.1:{self.port}/tamper"
        httpx.post(address, params={"how": how}).raise_for_status()
        try:
            yield
        finally:
            httpx.post(address, params={"how": ""}).raise_for_status()


@contextmanager
def provider_for(base: str, **more: Any) -> Iterator[Provider]:
    provider = Provider(base, **more)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()

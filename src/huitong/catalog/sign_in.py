"""When sign-ins are refused for a while, with date and source of `sign_in.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class SignIn:
    """Numbers that are policy."""

    date: date
    #: GB/T 2260; empty where it is not one region's.
    region: str
    source: str
    #: Failures in a row after which an account is refused.
    account_failures: int
    #: Failures of all sign-ins from one address after which it is refused; a sign-in that succeeds forgives no others.
    address_failures: int
    #: For so long after the last failure of an account, and the first of an address.
    locked_s: int
    #: Characters.
    min_password: int
    max_password: int
    #: How long after the password a code is still taken.
    code_s: int


SIGN_IN = SignIn(**tomllib.loads(files("huitong.catalog").joinpath("sign_in.toml").read_text("utf-8")))

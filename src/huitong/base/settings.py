"""The settings: one table, read once from flags, environment and file, then frozen.

The class body below is the table. Its rows become the flags of the command line, the names in the environment and
in `huitong.toml`, the sample file and docs/reference/settings.md; nothing else in the system reads the environment.
"""

# ruff: noqa: RUF009 - each `_row` call makes a dataclass field, which is what belongs there

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from huitong.base import setting_kinds as kinds
from huitong.base.errors import SettingsError
from huitong.base.setting_kinds import Address, Kind, Network

PREFIX = "HUITONG_"
#: Names the settings file itself; the only variable with our prefix that is not a row of the table.
FILE_VARIABLE = "HUITONG_SETTINGS"
DEFAULT_FILE = Path("huitong.toml")

_CHECKOUT = Path(__file__).resolve().parents[3]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of one setting beside its name, type and default."""

    kind: Kind
    unit: str
    sentence: str
    minimum: float | None = None
    #: Never shown, logged or put into documents; stars stand for it.
    secret: bool = False
    #: How the default is described where its value differs from machine to machine.
    default_text: str | None = None


def _row(default: T, kind: Kind, unit: str, sentence: str, **more: Any) -> T:
    # The type checker sees the default, the dataclass its field: so the class body stays one table.
    row: Any = field(default=default, metadata={"row": Row(kind, unit, sentence, **more)})
    return row  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can choose."""

    # fmt: off
    data: Path = _row(
        Path("huitong-data"), kinds.PATH, "",
        "Folder that holds what is kept (packs, index, ledger) where `database` and `blobs` say nothing else, and what"
        " is arriving. Made when absent.")
    database: str = _row(
        "", kinds.DATABASE_URL, "",
        "PostgreSQL for index and ledger, as postgresql://user:password@host:port/database. Empty: SQLite in `data`.")
    blobs: str = _row(
        "", kinds.S3_URL, "",
        "Object store for what senders sent, as s3://bucket/prefix?endpoint=https://host&region=name. Empty: files in"
        " `data`.")
    s3_key_id: str = _row(
        "", kinds.TEXT, "",
        "Access key of the object store. Empty: as its clients find it in their environment.")
    s3_secret: str = _row(
        "", kinds.TEXT, "",
        "Secret of the access key.", secret=True)
    s3_cache_bytes: int = _row(
        8 << 30, kinds.SIZE, "bytes",
        "Room in `data` for what was read from or written to the object store last.", minimum=64 << 20)
    merged_keep_s: float = _row(
        3600.0, kinds.NUMBER, "s",
        "Small objects of the object store are brought together when their study settles, and deleted this long"
        " after.")
    http: Address = _row(
        Address("127.0.0.1", 8080), kinds.HOST_AND_PORT, "",
        "Where pages, viewer and DICOMweb are served. Put a TLS proxy in front before opening it to others.")
    http_certificate: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Certificate (PEM, with its chain) with which HTTP is spoken over TLS. Empty: without TLS.")
    http_key: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Private key (PEM) of that certificate. Empty: in the same file.")
    dimse: Address = _row(
        Address("", 11112), kinds.PORT, "",
        "Where DICOM associations are accepted. A bare port listens on the host of `http`.")
    dimse_tls: Address | None = _row(
        None, kinds.OPTIONAL_PORT, "",
        "Where DICOM associations are accepted over TLS; 2762 is its port. A bare port listens on the host of `http`."
        " Empty: nowhere.")
    dimse_certificate: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Certificate (PEM, with its chain) with which `dimse_tls` is spoken.")
    dimse_key: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Private key (PEM) of that certificate. Empty: in the same file.")
    dimse_clients: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Authorities (PEM) by one of which the certificate of a DICOM sender must be signed. Empty: none is asked for.")
    dimse_revoked: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Revoked certificates (CRL, PEM) of the authorities in `dimse_clients`: one list of each, in one file, none of"
        " them past its nextUpdate. Empty: nobody looks.")
    mllp: Address | None = _row(
        None, kinds.OPTIONAL_PORT, "",
        "Where HL7 v2 messages are accepted over MLLP; 2575 is its port. A bare port listens on the host of `http`."
        " Empty: nowhere.")
    mllp_certificate: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Certificate (PEM) with which MLLP is spoken over TLS. Empty: without TLS.")
    mllp_key: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Private key (PEM) of that certificate. Empty: in the same file.")
    mllp_clients: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Authorities (PEM) by one of which the certificate of an MLLP sender must be signed. Empty: none is asked for.")
    mllp_revoked: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Revoked certificates (CRL, PEM) of the authorities in `mllp_clients`: one list of each, in one file, none of"
        " them past its nextUpdate. Empty: nobody looks.")
    public_url: str = _row(
        "", kinds.ORIGIN, "",
        "By which address others reach `http`, as https://exchange.example: what clients must name in assertions."
        " Empty: the address on which a request came in.")
    ae_title: str = _row(
        "HUITONG", kinds.AE_TITLE, "",
        "Our own AE title; associations that call another are rejected.")
    demo: bool = _row(
        False, kinds.YES_NO, "",
        "Accept the two demo institutions TAIYUAN and YUNCHENG, from loopback only.")
    institutions: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "TOML file that lists the institutions: code, name, AE titles, networks, token digests.")
    readers: tuple[Network, ...] = _row(
        (), kinds.NETWORKS, "",
        "Addresses that may search and view all without signing in: a closed network that decides for itself who may."
        " Nothing is decided or written down about them. Empty: everybody signs in.")
    registrars: tuple[Network, ...] = _row(
        (), kinds.NETWORKS, "",
        "Addresses from which it may be said, without signing in, which patient numbers are one person. Empty:"
        " registrars sign in.")
    session_idle_s: float = _row(
        1800.0, kinds.NUMBER, "s",
        "Who is signed in and does nothing for so long has to sign in anew.", minimum=60)
    session_s: float = _row(
        43200.0, kinds.NUMBER, "s",
        "Who signed in so long ago has to sign in anew, whatever they do.", minimum=60)
    totp_roles: str = _row(
        "supervisor, admin, registrar", kinds.TEXT, "",
        "Roles that need an authenticator (TOTP) beside the password; it is enrolled at the first sign-in.")
    local_sign_in: bool = _row(
        True, kinds.YES_NO, "",
        "Accounts may sign in with a password of this installation.")
    oidc_issuer: str = _row(
        "", kinds.ISSUER, "",
        "OpenID Provider by which accounts sign in, by its issuer identifier, as https://id.example/realms/health."
        " Empty: none.")
    oidc_name: str = _row(
        "", kinds.TEXT, "",
        "What pages call that provider. Empty: unified identity, in the reader's language.")
    oidc_client_id: str = _row(
        "", kinds.TEXT, "",
        "By which client id the provider knows us.")
    oidc_client_secret: str = _row(
        "", kinds.TEXT, "",
        "Our secret at the provider. Empty: we sign with `oidc_client_key`.", secret=True)
    oidc_client_key: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Private key (PEM; RSA or EC P-256) with which we sign in at the provider (`private_key_jwt`), instead of a"
        " secret.")
    oidc_scopes: str = _row(
        "openid profile", kinds.TEXT, "",
        "What we ask the provider for; `openid` is always among it.")
    oidc_mapping: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "TOML file that says which account somebody is whom the provider names for the first time. Empty: only accounts"
        " that `huitong account bind` has bound.")
    oidc_second_factor: str = _row(
        "mfa", kinds.TEXT, "",
        "Values of `acr` or `amr` by which the provider says that it has asked for a second factor. Without one of them"
        " `totp_roles` need our authenticator.")
    oidc_authorities: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "Authorities (PEM) by one of which the provider's TLS certificate must be signed. Empty: those of the system.")
    account_key: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "File with the key (64 hexadecimal digits) under which secrets of authenticators lie in the database; the same "
        "for all processes of a store. Empty: `account.key` in `data`, made when it is needed first.")
    audit_origin: str = _row(
        "huitong/audit", kinds.LOG_NAME, "",
        "Name of the record of who looked in its published heads, as exchange.example/audit: unique in the world, and"
        " the same for ever.")
    audit_key: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "File with the private key (PEM, Ed25519) that signs these heads; the same for all processes of a store. Empty:"
        " in demo mode `audit.key` in `data`, made when it is needed first; heads are not signed otherwise.")
    audit_head_s: float = _row(
        600.0, kinds.NUMBER, "s",
        "A head is made this long after the one before, if lines were added.", minimum=1)
    exchange_issuer: str = _row(
        "HUITONG", kinds.TEXT, "",
        "Issuer of Patient ID of the exchange's own numbers, by which studies of all institutions are found.")
    identifier_base: str = _row(
        "urn:huitong", kinds.URI, "",
        "What the systems of identifiers begin with in FHIR: https:// and a name of yours, or urn:. The same for ever.")
    settle_s: float = _row(
        60.0, kinds.NUMBER, "s",
        "A study settles, with its manifest in the ledger, this long after its last instance.")
    link_s: float = _row(
        0.0, kinds.NUMBER, "s",
        "Signed links to objects in the object store are good for so long, so that who fetches much can fetch it there."
        " 0: none are given.")
    trusted_proxies: tuple[Network, ...] = _row(
        (), kinds.NETWORKS, "",
        "Proxies that are believed when they say in X-Forwarded-For and X-Forwarded-Proto who asks. Nobody else is.")
    requests_per_s: float = _row(
        1000.0, kinds.NUMBER, "requests a second",
        "Requests that one address may make in the long run; more are answered 429. A hospital may be one address."
        " 0: no limit.")
    requests_burst: int = _row(
        10_000, kinds.COUNT, "requests",
        "Requests that one address may make at once: a viewer asks for each image of a study.", minimum=1)
    caller_requests_per_s: float = _row(
        300.0, kinds.NUMBER, "requests a second",
        "The same of one session or token. 0: no limit.")
    caller_requests_burst: int = _row(
        5000, kinds.COUNT, "requests",
        "Requests that one session or token may make at once.", minimum=1)
    sign_ins_per_min: float = _row(
        60.0, kinds.NUMBER, "tries a minute",
        "Tries to sign in, of people and of systems, from one address. 0: no limit.")
    max_http_connections: int = _row(
        8192, kinds.COUNT, "connections",
        "HTTP connections at a time; further ones are closed at once.", minimum=1)
    max_http_connections_of_one: int = _row(
        1024, kinds.COUNT, "connections",
        "The same from one address that is no trusted proxy.", minimum=1)
    http_header_s: float = _row(
        30.0, kinds.NUMBER, "s",
        "The header of a request has to be there so long after its first octet.", minimum=1)
    max_associations: int = _row(
        64, kinds.COUNT, "associations",
        "DICOM associations at a time; further ones are rejected as transient.", minimum=1)
    max_associations_of_one: int = _row(
        32, kinds.COUNT, "associations",
        "The same from one address, so that one sender leaves room for others.", minimum=1)
    association_idle_s: float = _row(
        300.0, kinds.NUMBER, "s",
        "An association on which nothing is said for this long is aborted.")
    max_mllp_connections: int = _row(
        64, kinds.COUNT, "connections",
        "MLLP connections at a time; further ones are closed at once.", minimum=1)
    max_mllp_connections_of_one: int = _row(
        16, kinds.COUNT, "connections",
        "The same from one address.", minimum=1)
    mllp_idle_s: float = _row(
        3600.0, kinds.NUMBER, "s",
        "An MLLP connection on which no message comes for this long is closed.")
    max_message_bytes: int = _row(
        1 << 20, kinds.SIZE, "bytes",
        "Longer HL7 messages are refused.", minimum=4096)
    max_pdu_bytes: int = _row(
        256 << 10, kinds.SIZE, "bytes",
        "Longest P-DATA-TF PDU that we announce to peers.", minimum=4096)
    max_instance_bytes: int = _row(
        8 << 30, kinds.SIZE, "bytes",
        "Larger objects are refused.", minimum=1 << 20)
    spool_bytes: int = _row(
        8 << 20, kinds.SIZE, "bytes",
        "An object arriving is held in memory up to this size, then in a file.", minimum=4096)
    pack_bytes: int = _row(
        256 << 20, kinds.SIZE, "bytes",
        "A pack is closed and the next begun when it has grown past this.", minimum=1 << 20)
    commit_batch: int = _row(
        64, kinds.COUNT, "objects",
        "Most objects that are made durable and acknowledged together.", minimum=1)
    keep_free_bytes: int = _row(
        256 << 20, kinds.SIZE, "bytes",
        "New objects are refused while the data volume has less free space than this.")
    cache_bytes: int = _row(
        64 << 20, kinds.SIZE, "bytes",
        "Memory for what viewers ask again and again: places of instances, metadata, thumbnails.")
    page_rows: int = _row(
        101, kinds.COUNT, "rows",
        "Rows of a search answer when the caller names no `limit`.", minimum=1)
    page_rows_limit: int = _row(
        1000, kinds.COUNT, "rows",
        "Rows of a search answer at most, whatever `limit` says.", minimum=1)
    count_limit: int = _row(
        10_000, kinds.COUNT, "rows",
        "Matches are counted exactly up to this number; beyond it answers say \"at least\". All studies, those of an "
        "institution and those of a range of dates are always counted.", minimum=1)
    stop_grace_s: float = _row(
        20.0, kinds.NUMBER, "s",
        "On stop, associations and requests under way get this long to finish.")
    card_keys: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "TOML file with the versions of the health card's root and protection keys. Empty: the sample key in demo mode,"
        " no cards otherwise.")
    card_hsm: Path | None = _row(
        None, kinds.OPTIONAL_PATH, "",
        "PKCS#11 module (a shared library) of the security module whose AES key unwraps what `card_keys` holds. Empty:"
        " `card_keys` holds the keys themselves.")
    card_hsm_token: str = _row(
        "", kinds.TEXT, "",
        "Label of the security module's token.")
    card_hsm_key: str = _row(
        "huitong-card", kinds.TEXT, "",
        "Label of the AES key in that token.")
    card_hsm_pin: str = _row(
        "", kinds.TEXT, "",
        "PIN of the token's user.", secret=True)
    card_code_s: float = _row(
        60.0, kinds.NUMBER, "s",
        "A dynamic code of a health card is good for so long, and shown anew after.", minimum=10)
    card_skew_s: float = _row(
        30.0, kinds.NUMBER, "s",
        "The clocks of those who show health cards and those who read them may differ by so much.")
    ohif_path: Path = _row(
        _CHECKOUT / "node_modules/@ohif/app/dist", kinds.PATH, "",
        "Folder of the pinned OHIF build that is served at /viewer.",
        default_text="node_modules/@ohif/app/dist of the checkout")
    log_format: str = _row(
        "text", kinds.one_of("text", "json"), "",
        "How log lines are written to standard error.")
    log_level: str = _row(
        "info", kinds.one_of("debug", "info", "warning", "error"), "",
        "Log lines below this level are not written.")
    # fmt: on

    def __post_init__(self) -> None:
        """Fill in what follows from another setting; refuse what cannot be together."""
        if not self.dimse.host:
            object.__setattr__(self, "dimse", replace(self.dimse, host=self.http.host))
        if self.mllp is not None and not self.mllp.host:
            object.__setattr__(self, "mllp", replace(self.mllp, host=self.http.host))
        if self.dimse_tls is not None and not self.dimse_tls.host:
            object.__setattr__(self, "dimse_tls", replace(self.dimse_tls, host=self.http.host))
        if self.mllp_certificate is None and (self.mllp_key or self.mllp_clients):
            raise SettingsError("`mllp_key` and `mllp_clients` go with `mllp_certificate`, which is empty")
        if self.http_certificate is None and self.http_key:
            raise SettingsError("`http_key` goes with `http_certificate`, which is empty")
        if (self.dimse_certificate is None) != (self.dimse_tls is None):
            raise SettingsError("`dimse_tls` and `dimse_certificate` go together, and one of them is empty")
        if self.dimse_certificate is None and (self.dimse_key or self.dimse_clients):
            raise SettingsError("`dimse_key` and `dimse_clients` go with `dimse_certificate`, which is empty")
        self._check_provider()
        if (self.dimse_revoked and not self.dimse_clients) or (self.mllp_revoked and not self.mllp_clients):
            raise SettingsError("`dimse_revoked` goes with `dimse_clients`, `mllp_revoked` with `mllp_clients`")
        if self.page_rows > self.page_rows_limit:
            raise SettingsError(
                f"`page_rows` ({self.page_rows}) is more than `page_rows_limit` ({self.page_rows_limit})"
            )

    def _check_provider(self) -> None:
        if not self.oidc_issuer:
            if not self.local_sign_in:
                raise SettingsError("without `local_sign_in` and `oidc_issuer` nobody could sign in")
            return
        if not self.oidc_client_id or bool(self.oidc_client_secret) == bool(self.oidc_client_key):
            raise SettingsError("`oidc_issuer` wants `oidc_client_id`, and `oidc_client_secret` or `oidc_client_key`")
        if not self.public_url:
            raise SettingsError(
                "`oidc_issuer` wants `public_url`: the provider sends people back there and nowhere else"
            )


ROWS: dict[str, Row] = {each.name: each.metadata["row"] for each in fields(Settings)}
DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and where each came from: "flag", "environment", a file name or "default"."""

    settings: Settings
    sources: dict[str, str]

    def lines(self) -> list[tuple[str, str, str]]:
        """(name, value as text, source) of every setting, secrets masked."""
        return [(name, shown(row, getattr(self.settings, name)), self.sources[name]) for name, row in ROWS.items()]


def shown(row: Row, value: Any) -> str:
    """The value as an operator would write it, or stars."""
    return "********" if row.secret and value else row.kind.show(value)


def load(flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None = None) -> Loaded:
    """The settings from `flags` (None: not given), else HUITONG_*, else the file, else the defaults.

    The file is `file`, else what HUITONG_SETTINGS names, else huitong.toml in the current folder when there is one.
    Raises SettingsError.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(ROWS, "default")
    for source, given in (
        _from_file(file, environ),
        ("environment", _from_environment(environ)),
        ("flag", {name: text for name, text in flags.items() if text is not None}),
    ):
        for name, text in given.items():
            values[name] = _value(name, text, source)
            sources[name] = source
    return Loaded(Settings(**values), sources)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    ours = {name: text for name, text in environ.items() if name.startswith(PREFIX) and name != FILE_VARIABLE}
    _refuse_unknown((name.removeprefix(PREFIX).lower() for name in ours), "the environment")
    return {name.removeprefix(PREFIX).lower(): text for name, text in ours.items()}


def _from_file(file: Path | None, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if named is None and not DEFAULT_FILE.exists():
        return str(DEFAULT_FILE), {}
    path = named or DEFAULT_FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    _refuse_unknown(table, str(path))
    return str(path), {name: _toml_text(value) for name, value in table.items()}


def _toml_text(value: object) -> str:
    if isinstance(value, bool):
        return kinds.YES_NO.show(value)
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return str(value)


def _refuse_unknown(names: Iterable[str], place: str) -> None:
    for name in names:
        if name not in ROWS:
            near = get_close_matches(name, ROWS, n=3)
            like = f"; did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else ""
            raise SettingsError(f"{place} has `{name}`, which is no setting{like}")


def _value(name: str, text: str, source: str) -> Any:
    row = ROWS[name]
    given = "the value" if row.secret else repr(text)
    try:
        value = row.kind.parse(text)
    except ValueError as error:
        raise SettingsError(f"`{name}` from {source}: {given}: {error}") from None
    if row.minimum is not None and value < row.minimum:
        raise SettingsError(f"`{name}` from {source}: {given} is less than {row.minimum:g} {row.unit}".rstrip())
    return value

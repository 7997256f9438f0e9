"""What is counted while the service runs, in Prometheus' terms: one table for /metrics and its docs page."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

INSTANCES = Counter(
    "huitong_instances", "Instances acknowledged, by door, institution and outcome.", ["door", "institution", "outcome"]
)
BYTES = Counter("huitong_received_bytes", "Bytes of acknowledged instances that were new.", ["door", "institution"])
REFUSED = Counter("huitong_refused", "Instances refused, by door and error code.", ["door", "code"])
GROUP_SIZE = Histogram("huitong_group_instances", "Instances made durable together.", buckets=_SIZES)
GROUP_SECONDS = Histogram(
    "huitong_group_seconds", "Time to make a group durable: look-up, packs and index.", buckets=_SECONDS
)
ASSOCIATIONS = Counter("huitong_associations", "DICOM associations, by how they began or ended.", ["event"])
ASSOCIATIONS_OPEN = Gauge("huitong_associations_open", "DICOM associations established now.")
MLLP_CONNECTIONS = Counter("huitong_mllp_connections", "MLLP connections, by how they began or ended.", ["event"])
MLLP_OPEN = Gauge("huitong_mllp_connections_open", "MLLP connections open now.")
HL7_MESSAGES = Counter("huitong_hl7_messages", "HL7 messages answered, by trigger event and answer.", ["event", "code"])
HL7_SECONDS = Histogram("huitong_hl7_seconds", "Time from the end of an HL7 message to its answer.", buckets=_SECONDS)
REQUESTS = Counter("huitong_http_requests", "HTTP requests answered, by method and status.", ["method", "status"])
REQUEST_SECONDS = Histogram("huitong_http_seconds", "Time to the last byte of an answer.", ["method"], buckets=_SECONDS)
SETTLED = Counter("huitong_studies_settled", "Studies settled.")
UNSETTLED = Gauge("huitong_studies_unsettled", "Studies that still arrive or wait to settle.")
FREE_BYTES = Gauge("huitong_free_bytes", "Room left on the data volume.")
S3_REQUESTS = Counter(
    "huitong_s3_requests", "Requests to the object store, by what is kept there and operation.", ["kind", "operation"]
)
S3_BYTES = Counter("huitong_s3_bytes", "Bytes put into and got from the object store.", ["kind", "operation"])
S3_FAULTS = Counter("huitong_s3_faults", "Requests that failed after all retries.", ["kind", "operation"])
STUDY_BLOBS = Histogram(
    "huitong_study_blobs",
    "Blobs that hold a study, when it settles and when it is merged.",
    ["when"],
    buckets=_SIZES,
)
CARD_SCANS = Counter(
    "huitong_card_scans", "Health cards shown, by institution and outcome.", ["institution", "outcome"]
)
LIMITED = Counter(
    "huitong_limited", "HTTP requests refused with 429, by whose limit it was: address, caller, sign-in.", ["limit"]
)
TOKENS = Counter(
    "huitong_tokens",
    "Access tokens asked for by institutions' systems, by what became of it: given, or the error.",
    ["outcome"],
)
AUDIT_HEADS = Counter(
    "huitong_audit_heads", "Heads of the record of who looked, by what became of them: made, or why not.", ["outcome"]
)

#: Every metric, in the order of the docs page.
TABLE = (
    INSTANCES, BYTES, REFUSED, GROUP_SIZE, GROUP_SECONDS, ASSOCIATIONS, ASSOCIATIONS_OPEN,
    MLLP_CONNECTIONS, MLLP_OPEN, HL7_MESSAGES, HL7_SECONDS, REQUESTS, REQUEST_SECONDS,
    SETTLED, UNSETTLED, FREE_BYTES, S3_REQUESTS, S3_BYTES, S3_FAULTS, STUDY_BLOBS, CARD_SCANS, LIMITED, TOKENS,
    AUDIT_HEADS,
)  # fmt: skip

"""Checkpoints and notes are what others write and read: the examples of their own documents, OpenSSL and npm's."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from huitong.wire.checkpoint import (
    Checkpoint,
    Note,
    VerifierKey,
    is_key_name,
    is_signed_by,
    read_note,
    read_notes,
    sign,
)

#: The example of golang.org/x/mod/sumdb/note, whose private key its documentation gives, too.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_PRIVATE = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT + "\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
#: The example of C2SP tlog-checkpoint.
C2SP = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("exchange.example/audit", PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
HEAD = Checkpoint("exchange.example/audit", 7, bytes(range(32, 64)))
NOTE = sign(HEAD.text(), KEY, PRIVATE.sign)


def test_what_go_signs_is_verified_and_signed_alike() -> None:
    key, note = VerifierKey.read(GO_KEY), read_note(GO_NOTE)
    assert str(key) == GO_KEY
    assert str(note) == GO_NOTE
    assert is_signed_by(note, [KEY, key]) is True
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(GO_PRIVATE)[1:])
    assert str(sign(GO_TEXT, key, private.sign)) == GO_NOTE


def test_the_example_of_the_specification_is_read() -> None:
    head = Checkpoint.read(read_note(C2SP).text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.text() == read_note(C2SP).text
    assert [str(each) for each in read_notes(C2SP + "\n" + str(NOTE) + str(Note(HEAD.text())))] == [
        C2SP, str(NOTE), str(Note(HEAD.text())),
    ]  # fmt: skip


def test_an_altered_text_another_key_and_nobodys_signature_differ() -> None:
    assert is_signed_by(NOTE, [KEY]) is True
    assert is_signed_by(Note(NOTE.text.replace("7", "8"), NOTE.signatures), [KEY]) is False
    assert is_signed_by(NOTE, [VerifierKey.read(GO_KEY)]) is None
    assert is_signed_by(Note(NOTE.text), [KEY]) is None
    false = sign(NOTE.text, KEY, lambda text: bytes(64))
    assert is_signed_by(Note(NOTE.text, (*NOTE.signatures, *false.signatures)), [KEY]) is False


@pytest.mark.parametrize(
    "text",
    [
        "", "a\n1\n", "a\n01\n" + "A" * 43 + "=\n\n", "a\n-1\n" + "A" * 43 + "=\n\n", "a\n1\nAAAA\n\n",
        "a\n1\nnot base64!\n\n", "\n1\n" + "A" * 43 + "=\n\n", "a\n1\n" + "A" * 43 + "=",
        "a\n1\n" + "A" * 43 + "=\n\n— a AAAA\n", "a\n1\n" + "A" * 43 + "=\n\n— a\n",
        f"a\n{'9' * 20}\n" + "A" * 43 + "=\n\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Checkpoint.read(read_note(text).text)


@pytest.mark.parametrize("text", ["", "x", "a b+c+d", GO_KEY.replace("c74f20a3", "c74f20a4"), GO_KEY[:-4], "x+y+AAAA"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        VerifierKey.read(text)


def test_names_of_keys_have_no_spaces_and_no_plus() -> None:
    assert is_key_name("太原.example/audit")
    assert not any(map(is_key_name, ("", "a b", "a+b", "a\u3000b", "a\nb", "a\x00b")))


# --- by others ---


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_openssl_verifies_the_signature(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "text").write_text(NOTE.text, "utf-8")
    (tmp_path / "signature").write_bytes(NOTE.signatures[0].signature)
    command = "openssl pkeyutl -verify -pubin -inkey key -rawin -in text -sigfile signature"
    assert subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "text").write_text(NOTE.text.replace("7", "8"), "utf-8")
    assert subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False).returncode != 0


#: Reads [note, key as SPKI, key id] from standard input; says what sigstore's verifier makes of the note.
_SIGSTORE = """
const { verifyCheckpoint } = require(process.argv[1]);
const [envelope, spki, id] = JSON.parse(require('fs').readFileSync(0, 'utf-8'));
const publicKey = require('crypto').createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' });
const tlog = { logID: Buffer.from(id, 'hex'), baseURL: 'https://exchange.example/audit', publicKey };
const entry = { inclusionProof: { checkpoint: { envelope } } };
try {
  const found = verifyCheckpoint(entry, [tlog]);
  console.log([found.origin, found.logSize, found.logHash.toString('hex')].join(' '));
} catch (e) { console.log(e.message); }
"""


@pytest.mark.peer
def test_sigstores_verifier_which_npm_brings_verifies_the_note() -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node with npm")
    module = Path(npm).resolve().parents[1] / "node_modules/@sigstore/verify/dist/tlog/checkpoint.js"
    if not module.is_file():
        pytest.skip("this npm brings no @sigstore/verify that reads checkpoints")
    spki = PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def said(note: str) -> str:
        told = json.dumps([note, base64.b64encode(spki).decode(), KEY.key_id.hex()])
        command = [node, "-e", _SIGSTORE, str(module)]
        return subprocess.run(command, input=told, capture_output=True, text=True, check=True).stdout.strip()

    assert said(str(NOTE)) == f"{HEAD.origin} {HEAD.size} {HEAD.root.hex()}"
    assert said(str(NOTE).replace("\n7\n", "\n8\n")) == "invalid checkpoint signature"

"""Health cards over real sockets: two servers on one store take a code once, and a kill leaves no half card."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from sqlalchemy import select
from tests.archives import archive_in
from tests.people.cards.patients import register
from tests.serving import Server, huitong, serving

from huitong.people.cards import actions
from huitong.people.cards.model import Card, Issued
from huitong.people.cards.tables import CARD, CARD_CODE, CARD_USE
from huitong.store import ledger

TOKEN = {"Authorization": "Bearer demo-TAIYUAN"}
USE = {"step": "010101", "terminal_id": "TY-0017", "terminal_type": "01"}
PATIENTS = 120


def resolve(server: Server, code: str) -> httpx.Response:
    return httpx.post(f"{server.base}/card/resolve", json={"code": code, **USE}, headers=TOKEN, timeout=60)


def test_of_two_servers_on_one_store_one_takes_a_code(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with archive_in(folder) as archive:
        register(archive, "P1", "李梅", "11010519491231002X")
        card = actions.issue(archive.sender(), "P1")
        assert isinstance(card, Issued)
        with serving(folder) as one, serving(folder) as other, ThreadPoolExecutor(8) as terminals:
            for _ in range(3):
                shown = actions.dynamic_code(archive.reader, card.card)
                answers = list(terminals.map(lambda server: resolve(server, shown.text), (one, other) * 4))  # noqa: B023
                assert sorted(each.status_code for each in answers) == [200] + [409] * 7
                while actions.dynamic_code(archive.reader, card.card).until == shown.until:
                    threading.Event().wait(0.1)


def test_a_kill_between_issue_and_answer_leaves_no_half_card(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with archive_in(folder) as archive:
        for number in range(PATIENTS):
            register(archive, f"P{number}", f"居民{number}", citizen(number))
    answered: dict[str, str] = {}
    for at in (7, 31, 58):
        with serving(folder) as server:
            issue_until_killed(server, answered, at)
    with archive_in(folder) as archive:
        with archive.store.database.read() as read:
            kept = {row.card_id: row for row in read.execute(select(CARD))}
            told = [each for each in ledger.follow(read, 0, 10_000) if each.kind == "people.card_issued"]
            used = [each for each in ledger.follow(read, 0, 10_000) if each.kind == "people.card_used"]
            uses, codes = (read.execute(select(table)).all() for table in (CARD_USE, CARD_CODE))
            assert list(ledger.check(read)) == []
        assert len(answered) > 10
        assert set(answered.values()) <= set(kept)
        assert sorted(each.subject for each in told) == sorted(kept)
        assert len(used) == len(uses)
        assert codes == []
        for number in range(PATIENTS):
            found = actions.issue(archive.sender(), f"P{number}")
            assert isinstance(found, Issued)
            assert found.new == (found.card.card_id not in kept)
            assert answered.get(f"P{number}", found.card.card_id) == found.card.card_id
            assert taken(archive.sender(), found.card)


def taken(work: object, card: Card) -> bool:
    return isinstance(
        actions.resolve(work, actions.static_code(card).text, actions.Terminal("010101", "T", "01")),  # type: ignore[arg-type]
        actions.Resolved,
    )


def issue_until_killed(server: Server, answered: dict[str, str], at: int) -> None:
    """Six terminals issue and use cards; the server is killed when it has answered for `at` more patients."""
    enough, before = threading.Event(), len(answered)
    waiting = iter([number for number in range(PATIENTS) if f"P{number}" not in answered])

    def terminal() -> None:
        with httpx.Client(headers=TOKEN, timeout=30) as client:
            for number in waiting:
                try:
                    answer = client.post(f"{server.base}/card/issue", json={"patient_number": f"P{number}"})
                    answered[f"P{number}"] = answer.json()["id"]
                    client.post(f"{server.base}/card/resolve", json={"code": f"{answer.json()['id']}:1", **USE})
                except httpx.HTTPError:
                    return
                if len(answered) - before >= at:
                    enough.set()

    terminals = [threading.Thread(target=terminal) for _ in range(6)]
    for each in terminals:
        each.start()
    assert enough.wait(60)
    server.kill()
    for each in terminals:
        each.join(60)
        assert not each.is_alive()


def citizen(number: int) -> str:
    """A citizen number with its check digit (GB 11643)."""
    first = f"140105{19500101 + number % 28}{number:03}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return first + "10X98765432"[sum(int(d) * w for d, w in zip(first, weights, strict=True)) % 11]


def test_the_commands_issue_show_and_read_a_card(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with archive_in(folder) as archive:
        person = register(archive, "P1", "李梅", "11010519491231002X")
    here = ("--demo", "--data", str(folder), "--keep-free-bytes", "0")
    issued = huitong("card", "issue", "P1", "--institution", "TAIYUAN", *here)
    assert (issued.returncode, issued.stdout.splitlines()[0]) == (0, "issued"), issued.stderr
    said = dict(line.split(maxsplit=1) for line in issued.stdout.splitlines()[1:])
    assert (said["person"], said["name"], said["certificate"]) == (person, "李梅", "01 11010519491231002X")
    assert "was there already" in huitong("card", "issue", "P1", "--institution", "TAIYUAN", *here).stdout
    shown = huitong("card", "show", said["card"].lower(), "--code", *here)
    code = next(line for line in shown.stdout.splitlines() if line.startswith(f"{said['card']}:0:"))
    read = ("card", "resolve", code, "--institution", "YUNCHENG", "--step", "010101", *here)
    assert person in huitong(*read).stdout
    again = huitong(*read)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (1, "huitong: refused, card-replayed")
    unknown = huitong("card", "show", "AB" * 16, *here)
    assert (unknown.returncode, "no card has this id" in unknown.stderr) == (2, True)


def test_a_server_with_unusable_keys_says_so_and_does_not_start(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    sample = "0123456789ABCDEFFEDCBA9876543210"
    keys.write_text(f'current = 1\n[[key]]\nversion = 1\nroot = "{sample}"\nprotection = "{sample}"\n')
    keys.chmod(0o600)
    refused = huitong("serve", "--data", str(tmp_path / "data"), "--card-keys", str(keys), "--http", "127.0.0.1:0")
    assert refused.returncode == 2
    assert "sample key" in refused.stderr
    assert sample not in refused.stderr + refused.stdout

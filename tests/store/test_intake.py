"""Bytes on their way in: the same whatever their number, bounded in memory, gone when abandoned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huitong.base.errors import StoreFull, TooLarge
from huitong.store.intake import Intakes


def intakes_in(folder: Path, **limits: int) -> Intakes:
    defaults = {"memory_bytes": 1 << 20, "spool_bytes": 1000, "max_bytes": 5000, "keep_free_bytes": 0}
    return Intakes(folder, **(defaults | limits))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=400), max_size=12))
def test_what_was_written_is_seen_whole(tmp_path: Path, chunks: list[bytes]) -> None:
    intake = intakes_in(tmp_path).new()
    for chunk in chunks:
        intake.write(memoryview(chunk))
    assert bytes(intake.view()) == b"".join(chunks)
    assert intake.size == sum(map(len, chunks))
    assert intake.spooled == (intake.size > 1000)
    intake.abandon()
    intake.abandon()
    assert list(tmp_path.iterdir()) == []


def test_past_the_limit_it_is_too_large(tmp_path: Path) -> None:
    intake = intakes_in(tmp_path).new()
    intake.write(bytes(4999))
    with pytest.raises(TooLarge):
        intake.write(b"xx")
    intake.abandon()


def test_when_memory_is_spent_even_small_objects_go_to_the_disk(tmp_path: Path) -> None:
    intakes = intakes_in(tmp_path, memory_bytes=100 << 10)  # room for one buffer of 64 KiB
    first, second = intakes.new(), intakes.new()
    first.write(bytes(900))
    second.write(bytes(900))
    assert (first.spooled, second.spooled) == (False, True)
    first.abandon()
    third = intakes.new()
    third.write(bytes(900))
    assert not third.spooled
    second.abandon()
    third.abandon()


def test_a_buffer_used_again_shows_nothing_of_what_it_held(tmp_path: Path) -> None:
    intakes = intakes_in(tmp_path)
    first = intakes.new()
    first.write(b"secret" * 100)
    first.abandon()
    second = intakes.new()
    second.write(b"new")
    assert bytes(second.view()) == b"new"
    second.abandon()


@pytest.mark.parametrize("sizes", [(70_000, 70_000), (10, 200_000), (1_000_000, 1_000_000, 1_000_000)])
def test_a_buffer_grows_with_what_it_holds(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    intakes = intakes_in(tmp_path, memory_bytes=64 << 20, spool_bytes=8 << 20, max_bytes=64 << 20)
    intake = intakes.new()
    for n, size in enumerate(sizes):
        intake.write(bytes([n + 1]) * size)
    assert not intake.spooled
    assert bytes(intake.view()) == b"".join(bytes([n + 1]) * size for n, size in enumerate(sizes))
    intake.abandon()


def test_a_full_volume_refuses_before_it_is_filled(tmp_path: Path) -> None:
    intake = intakes_in(tmp_path, keep_free_bytes=1 << 60).new()
    with pytest.raises(StoreFull):
        intake.write(bytes(2000))
    intake.abandon()


def test_sweeping_removes_what_dead_processes_left_and_nothing_else(tmp_path: Path) -> None:
    intakes = intakes_in(tmp_path)
    (tmp_path / "dead.part").write_bytes(b"half")
    alive = intakes.new()
    alive.write(bytes(2000))
    assert intakes.sweep() == 1
    assert bytes(alive.view()) == bytes(2000)
    alive.abandon()


def test_an_upload_is_refused_when_the_volume_fills_while_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The volume is made to say so; every byte is really written."""
    intake = intakes_in(tmp_path, max_bytes=1 << 30, keep_free_bytes=1 << 20).new()
    chunk = bytes(1 << 20)
    room = (40 << 20) + (1 << 20)
    monkeypatch.setattr(
        os, "statvfs", lambda _folder: os.statvfs_result((1, 1, 0, 0, max(room - intake.size, 0), 0, 0, 0, 0, 255))
    )

    def send_all() -> None:
        for _ in range(100):
            intake.write(chunk)

    with pytest.raises(StoreFull):
        send_all()
    assert 16 << 20 < intake.size <= (40 + 16) << 20
    intake.abandon()
    assert list(tmp_path.iterdir()) == []

"""A door that gives up while its object is being written disturbs neither the write nor its group."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.archives import archive_in
from tests.objects import part10

from huitong.imaging import actions


def test_a_door_cancelled_in_the_middle_leaves_only_whole_records(tmp_path: Path) -> None:
    async def cancel_some() -> None:
        tasks = []
        for n in range(60):
            intake = actions.new_intake(archive.sender())
            intake.write(part10(PixelData=bytes([n]) * 20_000, Rows=100, Columns=100))
            task = asyncio.ensure_future(actions.keep_instance(archive.sender(), intake))
            tasks.append((task, intake))
        for n, (task, intake) in enumerate(tasks):
            await asyncio.sleep(0.001 * (n % 3))
            if n % 2:
                task.cancel()
                intake.abandon()
        kept = [task for task, _ in tasks[::2]]
        await asyncio.gather(*kept)

    with archive_in(tmp_path, commit_batch=4) as archive:
        asyncio.run(cancel_some())
    with archive_in(tmp_path) as archive:
        assert actions.verify(archive.store).clean
        assert len(archive.rows()) >= 30

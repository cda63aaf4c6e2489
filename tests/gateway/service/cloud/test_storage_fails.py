"""A disk or a database that takes nothing costs no answer and no attempt, and nothing leaves that could not be logged."""

from collections.abc import Sequence
from pathlib import Path

from gateway.service.jobs.records import Delivery, Job
from gateway.service.leaving.audit import AuditEntry, Departure
from gateway.service.records import Analysis
from gateway.store.audit import SqlAuditLog
from tests.gateway.service.cloud.cloud_setting import QUICK, Setting, run


def test_a_disk_that_is_full_for_long_costs_neither_an_attempt_nor_a_second_sending(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        kept = setting.folder / "images"
        kept.rmdir()
        kept.touch()
        setting.start()
        job = setting.submit()
        await setting.until(lambda: setting.now(job).error_code == "STORAGE_FULL")
        turn = setting.now(job).turn
        await setting.until(lambda: setting.now(job).turn > turn + QUICK.most_attempts)
        assert setting.all_analyses() == []
        kept.unlink()
        kept.mkdir()
        await setting.done(job)
        assert (setting.cloud.sent, setting.now(job).attempts) == ([job.id], 1)

    run(test, tmp_path)


class FullLog(SqlAuditLog):
    """Takes no entry for as long as `full`."""

    full = True

    def append(self, departure: Departure) -> AuditEntry:
        """Raises OSError."""
        if self.full:
            raise OSError("no space left")
        return super().append(departure)


def test_no_byte_leaves_while_the_log_takes_no_entry(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.audit = log = FullLog(setting.database)
        setting.start()
        job = setting.submit()
        await setting.until(lambda: len(setting.cleaner.cleaned) > QUICK.most_attempts)
        assert (setting.cloud.sent, setting.cloud.digests) == ([], {})
        log.full = False
        await setting.done(job)
        assert setting.now(job).attempts == 1

    run(test, tmp_path)


def test_a_database_that_fails_at_the_end_costs_neither_an_attempt_nor_the_answer(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        gateway = setting.start()
        complete, calls = gateway.store.complete, 0

        def fails(job: Job, analysis: Analysis, *, deliveries: Sequence[Delivery] = ()) -> bool:
            nonlocal calls
            calls += 1
            if calls < 4:
                raise ConnectionError("the database is gone")
            return complete(job, analysis, deliveries=deliveries)

        gateway.store.complete = fails  # type: ignore[method-assign] # for this gateway alone
        job = setting.submit()
        await setting.done(job)
        assert (calls, setting.cloud.sent, setting.now(job).attempts) == (4, [job.id], 1)
        assert setting.all_analyses() == [job.id]

    run(test, tmp_path)

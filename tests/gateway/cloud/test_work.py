"""What a worker makes of a message: whatever goes wrong, the gateway learns it, and nothing is answered twice."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from domains.errors import CorruptMedia, UnknownExam
from edge_runtime.errors import DeadlineExceeded, DeviceFault, FaultKind, InputBreaksWorker
from gateway.cloud.config import CloudConfig
from gateway.cloud.link import CeleryLink
from gateway.cloud.messages import Outcome, error_answer, read_answer, task_to_builtins
from gateway.cloud.messages import answer_to_bytes as to_bytes
from gateway.cloud.objects import ObjectFolder
from gateway.cloud.paths import answer_path, input_path
from gateway.cloud.work import Analysing, CloudWork
from gateway.service.archive import Made
from gateway.service.cloud.ports import CloudAnswer, CloudError, CloudTask
from tests.gateway.cloud.samples import LUNG, SCAN, task_of
from tests.scripted_node import until

MADE = Made({"label": "normal"}, {"format": "png"}, LUNG, {"node": "n", "tier": "edge"}, {"mask.png": b"png"})
SECRET = "JOHN DOE's scan"


@dataclass
class ScriptedAnalysing(Analysing):
    """Raises what it is told, one after the other, and answers then."""

    raises: list[Exception] = field(default_factory=list)
    takes_s: float = 0.0
    asked: list[tuple[str, str, bytes, Mapping[str, Any]]] = field(default_factory=list)
    stopped: int = 0

    async def answer(
        self, tenant: str, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str, timeout_s: float
    ) -> Made:
        assert timeout_s > 0
        self.asked.append((tenant + request_id, domain, payload, parameters))
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.raises:
            raise self.raises.pop(0)
        return MADE


@dataclass
class Setting:
    """A worker's store and its work, and the gateway's view of them."""

    store: ObjectFolder
    analysing: ScriptedAnalysing
    work: CloudWork
    link: CeleryLink

    async def sent(self, task: CloudTask, payload: bytes = SCAN) -> None:
        await self.store.put(input_path(task.id, task.sha256), payload)

    async def done(self, task: CloudTask, **changes: Any) -> Outcome:
        return await self.work.do(task.id, task_to_builtins(task) | changes)

    async def answer(self, task: CloudTask) -> CloudAnswer:
        found = await self.link.look(task.id)
        assert found is not None
        return found

    async def count(self) -> int:
        return sum([len(batch) async for batch in self.store.list()])


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    store, analysing = ObjectFolder(tmp_path.as_uri()), ScriptedAnalysing()
    link = CeleryLink(CloudConfig("redis://127.0.0.1:9/0", tmp_path.as_uri()), store)
    return Setting(store, analysing, CloudWork(store, analysing, pauses_s=(0.01, 0.01), look_every_s=0.05), link)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_a_task_is_answered_once_with_its_pictures_and_says_that_the_cloud_did(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        await setting.sent(task)
        assert await setting.done(task) == Outcome(answered=True)
        answer = await setting.answer(task)
        assert (answer.id, answer.result, answer.media, answer.error) == (task.id, MADE.result, MADE.media, None)
        assert (answer.provenance["tier"], answer.provenance["node"], answer.pictures) == ("cloud", "n", MADE.pictures)
        assert (await setting.done(task)).answered
        assert setting.analysing.asked == [("", "pathology", SCAN, LUNG)]

    in_loop(test)


def test_of_two_workers_with_the_same_task_the_first_answer_stays_and_nothing_of_the_other(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        setting.analysing.takes_s = 0.3
        await setting.sent(task)
        outcomes = await asyncio.gather(setting.done(task), setting.done(task))
        assert [outcome.answered for outcome in outcomes] == [True, True]
        assert len(setting.analysing.asked) == 2
        assert (await setting.answer(task)).pictures == MADE.pictures
        assert await setting.count() == 3  # input, picture, answer

    in_loop(test)


@pytest.mark.parametrize(("error", "code", "tries", "final"), [
    (CorruptMedia("the file is cut short"), "CORRUPT_MEDIA", 1, True),
    (UnknownExam("there is no exam x", parameter="exam"), "UNKNOWN_EXAM", 1, True),
    (InputBreaksWorker("it crashed two workers"), "INPUT_BREAKS_WORKER", 1, True),
    (DeviceFault("the CPU is gone", kind=FaultKind.LOST), "UNAVAILABLE", 3, False),
    (DeadlineExceeded("no time"), "DEADLINE_EXCEEDED", 3, False),
    (RuntimeError(SECRET), "INTERNAL", 3, False),
])
def test_an_error_is_told_and_whether_another_try_is_worth_while(
    setting: Setting, error: Exception, code: str, tries: int, final: bool
) -> None:
    async def test() -> None:
        task = task_of()
        await setting.sent(task)
        setting.analysing.raises = [error] * 3
        assert (await setting.done(task)).answered
        told = (await setting.answer(task)).error
        assert told is not None
        assert (told.code, told.final, told.parameter) == (code, final, getattr(error, "parameter", ""))
        assert SECRET not in told.message
        assert len(setting.analysing.asked) == tries

    in_loop(test)


def test_what_a_second_try_mends_is_answered(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        await setting.sent(task)
        setting.analysing.raises = [DeviceFault("the CPU is gone", kind=FaultKind.LOST)]
        await setting.done(task)
        assert (await setting.answer(task)).result == MADE.result

    in_loop(test)


def test_tries_end_with_the_time_of_the_task(setting: Setting) -> None:
    async def test() -> None:
        task = replace(task_of(), timeout_s=0.005)
        await setting.sent(task)
        setting.analysing.raises = [RuntimeError()] * 3
        await setting.done(task)
        assert len(setting.analysing.asked) == 1

    in_loop(test)


def test_an_error_that_was_not_final_gives_way_to_an_answer_but_no_other_does(setting: Setting) -> None:
    async def test() -> None:
        for final in (False, True):
            task = task_of()
            await setting.sent(task)
            before = error_answer(task.id, CloudError("UNAVAILABLE", "try later", "", final))
            await setting.store.put(answer_path(task.id), to_bytes(before))
            await setting.done(task)
            assert ((await setting.answer(task)).error is not None) is final

    in_loop(test)


@pytest.mark.parametrize("changes", [{"size_bytes": 5}, {}])
def test_an_object_that_was_changed_on_its_way_is_refused(setting: Setting, changes: dict[str, Any]) -> None:
    async def test() -> None:
        task = task_of()
        await setting.sent(task, SCAN if changes else SCAN[:-1] + b"!")
        assert (await setting.done(task, **changes)).answered
        told = (await setting.answer(task)).error
        assert told is not None
        assert (told.code, told.final) == ("CLOUD_UNAVAILABLE", False)
        assert "isn't what was sent" in told.message
        assert not setting.analysing.asked

    in_loop(test)


def test_a_message_of_another_version_is_refused_by_its_number_and_nothing_is_run(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        await setting.sent(task)
        assert (await setting.done(task, version=2)).answered
        told = (await setting.answer(task)).error
        assert told is not None
        assert "version 2, this program knows version 1" in told.message
        assert not told.final
        assert not setting.analysing.asked

    in_loop(test)


def test_a_message_that_names_another_task_is_refused(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        assert (await setting.done(task, id=task_of().id)).answered
        assert (await setting.answer(task)).error is not None

    in_loop(test)


def test_a_task_whose_object_is_gone_leaves_nothing_behind(setting: Setting) -> None:
    async def test() -> None:
        assert not (await setting.done(task_of())).answered
        assert not (await setting.work.do("../../etc/passwd", {})).answered
        assert await setting.count() == 0

    in_loop(test)


def test_a_task_that_is_withdrawn_while_it_runs_is_stopped_and_leaves_nothing_behind(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        setting.analysing.takes_s = 60.0
        await setting.sent(task)
        working = asyncio.create_task(setting.done(task))
        await until(lambda: setting.analysing.asked)
        await asyncio.sleep(0.2)
        assert not working.done(), "its object is still there"
        await setting.link.forget(task.id)
        assert not (await working).answered
        assert setting.analysing.stopped == 1
        assert await setting.count() == 0

    in_loop(test)


def test_an_answer_of_another_version_or_with_a_changed_picture_can_be_tried_again(setting: Setting) -> None:
    async def test() -> None:
        task = task_of()
        await setting.sent(task)
        await setting.done(task)
        content = await setting.store.get(answer_path(task.id))
        assert content is not None
        run = read_answer(content).run
        await setting.store.put(f"{task.id}/{run}/mask.png", b"another")
        told = (await setting.answer(task)).error
        assert told is not None
        assert "mask.png is missing or was changed" in told.message
        await setting.store.put(answer_path(task.id), content.replace(b'"version":1', b'"version":9'))
        told = (await setting.answer(task)).error
        assert told is not None
        assert ("version 9" in told.message, told.final) == (True, False)
        await setting.done(task)
        assert (await setting.answer(task)).pictures == MADE.pictures

    in_loop(test)

"""What a worker does with a message: the object in, the pictures and the answer out. Knows no broker."""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol

import structlog

from gateway.cloud.messages import (
    VERSION,
    AnswerMessage,
    Outcome,
    PictureMessage,
    Refused,
    TaskMessage,
    answer_to_bytes,
    error_answer,
    is_id,
    read_answer,
    read_task,
)
from gateway.cloud.objects import ObjectFolder
from gateway.cloud.paths import answer_path, input_path, picture_path, run_folder, sha256_of
from gateway.service.archive import Made
from gateway.service.cloud.ports import CloudError, CloudUnreachable
from gateway.service.errors import ErrorCode, translate
from gateway.service.jobs.runner import FINAL

logger = structlog.get_logger("hedgerow.cloud")

PAUSES_S = (1.0, 5.0)
"""Before the second and the third try of what failed through no fault of the input."""

LOOK_EVERY_S = 5.0
"""How often it is looked whether the object of a task that runs is still there: the gateway removes that of a job which was
cancelled."""

GONE = Outcome(answered=False, note="its object is gone")


class Analysing(Protocol):
    """The part of Answering that is needed here."""

    async def answer(
        self, tenant: str, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str, timeout_s: float
    ) -> Made:
        """As Answering.answer."""
        ...


class CloudWork:
    """Use from one event loop."""

    def __init__(
        self, store: ObjectFolder, answering: Analysing, *, pauses_s: tuple[float, ...] = PAUSES_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._store = store
        self._look_every_s = look_every_s
        self._answering = answering
        self._pauses_s = pauses_s

    async def do(self, task_id: str, given: object) -> Outcome:
        """Answers a task, unless it is answered. `task_id`: as the broker has it. Raises CloudUnreachable where the object
        store can't be reached: then nothing was done, and another try is worth while.
        """
        if not is_id(task_id):
            logger.error("a message has no id that could be one; it is dropped")
            return Outcome(answered=False, note="no id")
        if await self._is_settled(task_id):
            return Outcome(answered=True, note="answered before")
        try:
            task = read_task(given)
            if task.id != task_id:
                raise Refused("the task is another than its message says")
        except Refused as refusal:
            logger.error("a message was refused", task=task_id, cause=str(refusal))
            return await self._refuse(task_id, f"the cloud's worker refuses the message: {refusal}")
        payload = await self._store.get(input_path(task.id, task.sha256), size_bytes=task.size_bytes)
        if payload is None:
            logger.warning("the object of a message is gone; nobody waits for an answer", task=task_id)
            return GONE
        if len(payload) != task.size_bytes or await asyncio.to_thread(sha256_of, payload) != task.sha256:
            logger.error("an object isn't the one that was sent", task=task_id)
            return await self._refuse(task_id, "what lies in the object store isn't what was sent")
        return await self._answer(task, payload)

    async def _answer(self, task: TaskMessage, payload: bytes) -> Outcome:
        try:
            made = await self._unless_withdrawn(task, self._made(task, payload))
        except Exception as error:
            told = translate(error)
            final = isinstance(error, FINAL)
            logger.warning("a task ended with an error", task=task.id, code=told.code, kind=type(error).__name__, final=final)
            return await self._put(error_answer(task.id, CloudError(told.code, str(told), told.parameter, final)))
        if made is None:
            logger.info("the object of a task is gone; nobody waits for an answer", task=task.id)
            return GONE
        run = secrets.token_hex(16)
        for name, picture in made.pictures.items():
            await self._store.put(picture_path(task.id, run, name), picture)
        return await self._put(AnswerMessage(
            VERSION, task.id, run, dict(made.result), dict(made.media), dict(made.parameters),
            {**made.provenance, "tier": "cloud", "tier_reason": "a gateway asked the cloud"},
            {name: PictureMessage(len(picture), sha256_of(picture)) for name, picture in made.pictures.items()},
        ))

    async def _unless_withdrawn(self, task: TaskMessage, work: Coroutine[Any, Any, Made]) -> Made | None:
        """What the work gives; None where nobody wants it any more: then it is stopped."""
        path, working = input_path(task.id, task.sha256), asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait([working], timeout=self._look_every_s))[0]:
                with suppress(CloudUnreachable):
                    if not await self._store.has(path):
                        return None
            return working.result()
        finally:
            working.cancel()

    async def _made(self, task: TaskMessage, payload: bytes) -> Made:
        """A few tries, all within the task's time. Raises what the last one raised."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + task.timeout_s
        for pause_s in (*self._pauses_s, None):
            try:
                return await self._answering.answer(
                    "", task.domain, payload, task.parameters, request_id="", timeout_s=max(0.001, deadline - loop.time())
                )
            except Exception as error:
                if isinstance(error, FINAL) or pause_s is None or loop.time() + pause_s >= deadline:
                    raise
                logger.info("a task is tried once more", task=task.id, kind=type(error).__name__)
                await asyncio.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    async def _refuse(self, task_id: str, why: str) -> Outcome:
        return await self._put(error_answer(task_id, CloudError(ErrorCode.CLOUD_UNAVAILABLE, why)))

    async def _put(self, message: AnswerMessage) -> Outcome:
        """The first answer wins, unless it is an error that another try has mended."""
        path, content = answer_path(message.id), answer_to_bytes(message)
        if not await self._store.put_new(path, content):
            if await self._is_settled(message.id):
                if message.run:
                    await self._store.delete_folder(run_folder(message.id, message.run))
                return Outcome(answered=True, note="answered before")
            await self._store.put(path, content)
        return Outcome(answered=True)

    async def _is_settled(self, task_id: str) -> bool:
        content = await self._store.get(answer_path(task_id))
        if content is None:
            return False
        try:
            return read_answer(content).settles
        except Refused:
            return False

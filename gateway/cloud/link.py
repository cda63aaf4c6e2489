"""The gateway's end: an object and a message out, an object with the answer back."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from edge_runtime.folders import make_private_folder
from gateway.cloud.celery_app import client_app
from gateway.cloud.config import CloudConfig
from gateway.cloud.messages import TASK, AnswerMessage, Refused, answer_of, error_answer, read_answer, task_to_builtins
from gateway.cloud.objects import ObjectFolder, StoreRefused, folder_at
from gateway.cloud.paths import answer_path, folder_of, input_path, picture_path, sha256_of
from gateway.service.cloud.ports import CloudAnswer, CloudError, CloudLink, CloudTask, CloudUnreachable
from gateway.service.errors import ErrorCode

logger = structlog.get_logger("hedgerow.cloud")

SEND_LIMIT_S = 5.0
NEWS_LIMIT_S = 5.0
KEPT = 10_000
"""Ids that are remembered as answered: RabbitMQ tells each once."""
_CONFIRM_S = 4.0
_READ_AT_ONCE = 1000


def open_link(config: CloudConfig) -> "CeleryLink":
    """A link over the configured store, whose folder is made where it is one. Raises StoreRefused."""
    folder = folder_at(config.store)
    if folder is not None:
        try:
            make_private_folder(folder)
        except OSError as error:
            raise StoreRefused(f"the folder {folder} for the object store can't be made ({error.strerror})") from None
    return CeleryLink(config, ObjectFolder(config.store, config.store_options))


class CeleryLink(CloudLink):
    """Connects at the first use. All talk with the broker is on one thread, to which RabbitMQ's answers belong."""

    def __init__(self, config: CloudConfig, store: ObjectFolder) -> None:
        self.where = store.where
        self._store = store
        self._queue = config.queue
        self._app = client_app(config)
        self._by_reply = config.resolved_backend == "rpc://"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cloud-broker")
        self._told: OrderedDict[str, None] = OrderedDict()

    async def send(self, task: CloudTask, payload: bytes) -> None:
        """Takes an earlier answer away where that was an error which another try may mend."""
        await self._clear_failed(task.id)
        await self._store.put(input_path(task.id, task.sha256), payload)
        self._told.pop(task.id, None)
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, task)
        except TimeoutError:
            raise CloudUnreachable(f"the broker took no message within {SEND_LIMIT_S:g} s") from None
        except Exception as error:
            logger.info("a message could not be sent", kind=type(error).__name__)
            raise CloudUnreachable("the broker can't be reached, or refuses the message") from None

    async def news(self, ids: Collection[str]) -> frozenset[str]:
        """With RabbitMQ only of tasks that this process sent."""
        if not ids:
            return frozenset()
        try:
            async with asyncio.timeout(NEWS_LIMIT_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._answered, tuple(ids))
        except Exception as error:
            logger.debug("the result backend could not be asked", kind=type(error).__name__)
            return frozenset()

    async def look(self, job_id: str) -> CloudAnswer | None:
        """An answer of another version, or one that was damaged, is an error that isn't final."""
        content = await self._store.get(answer_path(job_id))
        if content is None:
            return None
        try:
            message = read_answer(content)
            pictures = await self._pictures(job_id, message)
        except Refused as refusal:
            logger.error("an answer of the cloud can't be read", job_id=job_id, cause=str(refusal))
            told = CloudError(ErrorCode.CLOUD_UNAVAILABLE, f"the cloud's answer can't be read: {refusal}")
            return answer_of(error_answer(job_id, told), {})
        return answer_of(message, pictures)

    async def forget(self, job_id: str) -> None:
        self._told.pop(job_id, None)
        try:
            await self._store.delete_folder(folder_of(job_id))
            if not self._by_reply:
                async with asyncio.timeout(NEWS_LIMIT_S):
                    await asyncio.get_running_loop().run_in_executor(self._thread, self._forget_result, job_id)
        except Exception as error:
            logger.info("what lies in the cloud of a job could not be removed", job_id=job_id, kind=type(error).__name__)

    async def close(self) -> None:
        self._thread.submit(self._app.close)
        await asyncio.to_thread(self._thread.shutdown)

    def _publish(self, task: CloudTask) -> None:
        self._app.send_task(
            TASK, args=[task_to_builtins(task)], task_id=task.id, queue=self._queue, confirm_timeout=_CONFIRM_S,
            origin="hedgerow", argsrepr="", kwargsrepr="",  # else this machine's name and the parameters are in the header
        )

    def _answered(self, ids: tuple[str, ...]) -> frozenset[str]:
        backend: Any = self._app.backend
        if self._by_reply:
            self._read_replies(backend)
        else:
            keys = {job_id: backend.get_key_for_task(job_id) for job_id in ids}
            for job_id, stored in zip(keys, backend.mget(list(keys.values())), strict=True):
                if stored is not None:
                    self._note(job_id, backend.decode_result(stored))
        return frozenset(self._told.keys() & set(ids))

    def _forget_result(self, job_id: str) -> None:
        backend: Any = self._app.backend
        backend.delete(backend.get_key_for_task(job_id))

    def _read_replies(self, backend: Any) -> None:
        connections: Any = self._app.pool
        with connections.acquire_channel(block=True) as (_, channel):
            queue = backend.binding(channel)
            queue.declare()
            for _ in range(_READ_AT_ONCE):
                reply = queue.get(accept=["json"], no_ack=True)
                if reply is None:
                    return
                self._note(reply.payload.get("task_id", ""), reply.payload)

    def _note(self, job_id: str, told: dict[str, Any]) -> None:
        outcome = told.get("result")
        if isinstance(outcome, dict) and outcome.get("answered") is True:
            self._told[job_id] = None
            while len(self._told) > KEPT:
                self._told.popitem(last=False)

    async def _clear_failed(self, job_id: str) -> None:
        """A worker leaves an answer that is there as it is; unless it is an error, nor would anybody want another."""
        content = await self._store.get(answer_path(job_id))
        if content is None:
            return
        try:
            if read_answer(content).settles:
                return
        except Refused:
            pass
        await self._store.delete([answer_path(job_id)])

    async def _pictures(self, job_id: str, message: AnswerMessage) -> dict[str, bytes]:
        """Raises Refused for one that is missing or another than the answer says."""
        found = {}
        for name, picture in message.pictures.items():
            content = await self._store.get(picture_path(job_id, message.run, name), size_bytes=picture.size_bytes)
            if content is None or sha256_of(content) != picture.sha256:
                raise Refused(f"its {name} is missing or was changed")
            found[name] = content
        return found

"""What these tests send, and how they wait for what comes back."""

import asyncio
import hashlib
import time
from pathlib import Path

from gateway.cloud.link import CeleryLink
from gateway.service.cloud.ports import CloudAnswer, CloudTask
from gateway.service.records import new_id

SCAN = (Path(__file__).parents[3] / "samples" / "lung_scan.png").read_bytes()
LUNG = {"exam": "lung_ultrasound"}
ANSWER_S = 60.0


def task_of(payload: bytes = SCAN, *, domain: str = "pathology", timeout_s: float = 30.0) -> CloudTask:
    """A new task on an ultrasound scan of a lung."""
    return CloudTask(new_id(), domain, LUNG, hashlib.sha256(payload).hexdigest(), len(payload), timeout_s)


async def answer_to(link: CeleryLink, task_id: str, *, within_s: float = ANSWER_S) -> CloudAnswer:
    """The answer, as soon as it is in the object store. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while (answer := await link.look(task_id)) is None:
            await asyncio.sleep(0.1)
        return answer


async def told_of(link: CeleryLink, task_id: str, *, within_s: float = ANSWER_S) -> float:
    """Seconds until the result backend says that it is answered. Raises TimeoutError."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while task_id not in await link.news([task_id]):
            await asyncio.sleep(0.05)
    return time.monotonic() - began

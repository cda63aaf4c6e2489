"""Cleans pictures in processes of their own, one a picture. No numpy and no decoder is loaded here.

Whatever a file does there (crash it, hang it, fill its memory) ends that process alone, and the file is held. The key of
the tenant's pseudonyms goes by standard input: arguments and environments can be read by others.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from domains.errors import DomainError
from edge_runtime import wire
from gateway.service.cloud.ports import Cleaned, Cleaner, Held
from gateway.service.leaving import cleaning_wire
from gateway.service.leaving.cleaning_wire import (
    MAX_HEADER_BYTES,
    PREFIX,
    CleanedMessage,
    HeldMessage,
    OrderMessage,
    RefusedMessage,
)
from gateway.service.leaving.consent import tenant_key
from gateway.service.records import JsonObject

logger = structlog.get_logger("hedgerow.leaving")

MODULE = "gateway.service.leaving.clean_process"
NICENESS = 10
"""Those that answer callers go first."""
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "LANG")
"""What the process gets of ours: settings and secrets of the gateway are none of its business."""
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "OPENCV_LOG_LEVEL": "OFF"}

CRASHED = "cleaning it ended the process that did it"
UNREADABLE = "cleaning it gave something that can't be read"
NOT_STARTED = "the process that cleans pictures could not be started"
UNWRITABLE = "its parameters can't be handed to the process that cleans pictures"


@dataclass(frozen=True, slots=True)
class CleaningPolicy:
    """`at_once`: processes; `limit_s`: for one picture, the search for text included; `memory_bytes`: of its address space, in
    which libraries take 0.8 GiB; `max_bytes`: of a cleaned picture, which may be several times as large as its upload.
    """

    at_once: int = 2
    limit_s: float = 300.0
    memory_bytes: int = 4 * 1024**3
    max_bytes: int = 512 * 1024**2


class ProcessCleaner(Cleaner):
    """Use from one event loop."""

    def __init__(
        self, secret: bytes, packages: Callable[[], Sequence[Path]], limits: Mapping[str, int],
        policy: CleaningPolicy | None = None, *, module: str = MODULE,
    ) -> None:
        """`secret`: the installation's, at least 32 bytes; `packages`: the folders of the models by which domains check
        parameters, of one name the first counts; `limits`: as for workers. Raises ValueError for a short secret.
        """
        tenant_key(secret, "")
        self._secret = secret
        self._packages = packages
        self._limits = dict(limits)
        self._policy = policy or CleaningPolicy()
        self._module = module
        self._places = asyncio.Semaphore(self._policy.at_once)

    async def clean(
        self, payload: bytes, domain: str, parameters: JsonObject, *, tenant: str, keep_gps: bool
    ) -> Cleaned | Held:
        """Raises DomainError also for a file that is no picture at all."""
        order = OrderMessage(
            len(payload), domain, dict(parameters), tenant_key(self._secret, tenant), keep_gps, self._limits,
            list(_first_of_each_name(self._packages())), self._policy.memory_bytes, max(1, round(self._policy.limit_s)),
        )
        try:
            head = cleaning_wire.encode(order)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            return Held(UNWRITABLE)
        async with self._places:
            try:
                return await self._run(head, payload)
            except DomainError:
                raise
            except OSError:
                return _held(NOT_STARTED)
            except (msgspec.MsgspecError, TypeError, ValueError):
                return _held(UNREADABLE)

    async def _run(self, head: bytes, payload: bytes) -> Cleaned | Held:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", self._module,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _THREADS,
        )
        try:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            async with asyncio.timeout(self._policy.limit_s):
                return await self._talk(process, head, payload)
        except TimeoutError:
            return _held(f"cleaning it took longer than {self._policy.limit_s:g} s")
        except (EOFError, ConnectionError):
            await _end(process)
            return _held(CRASHED, exit_status=process.returncode)
        finally:
            await _end(process)

    async def _talk(self, process: asyncio.subprocess.Process, head: bytes, payload: bytes) -> Cleaned | Held:
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        process.stdin.writelines([head, payload])
        await process.stdin.drain()
        (length,) = PREFIX.unpack(await process.stdout.readexactly(PREFIX.size))
        if length > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        reply = cleaning_wire.decode_reply(await process.stdout.readexactly(length))
        if isinstance(reply, HeldMessage):
            return _held(reply.reason, kind=reply.kind) if reply.kind else Held(reply.reason)
        if isinstance(reply, RefusedMessage):
            error = wire.error_from_wire(reply.error)
            if isinstance(error, DomainError):
                raise error
            return _held(CRASHED)
        return await self._picture(process.stdout, reply)

    async def _picture(self, source: asyncio.StreamReader, reply: CleanedMessage) -> Cleaned | Held:
        if reply.size_bytes > self._policy.max_bytes:
            return Held(f"cleaned it has {reply.size_bytes} bytes; the limit is {self._policy.max_bytes}")
        payload = await source.readexactly(reply.size_bytes)
        return Cleaned(payload, reply.format, tuple(reply.rules), reply.parameters)


def _first_of_each_name(folders: Sequence[Path]) -> Sequence[str]:
    by_name: dict[str, str] = {}
    for folder in folders:
        by_name.setdefault(folder.name, str(folder))
    return list(by_name.values())


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the process, and what it started to search for text. Idempotent."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()  # reads what is left, without which its end may not be seen


def _held(reason: str, **details: object) -> Held:
    """For what is no fault of the file's, or may be none."""
    logger.warning("a picture could not be cleaned", cause=reason, **details)
    return Held(reason)

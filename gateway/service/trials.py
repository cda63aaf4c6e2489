"""Which version of a model answers a request, and the change from one to another while requests run.

Nodes know two tracks, what is in service and what is on trial beside it. Who goes on which is decided here, and so is
what becomes of a trial (running_trial.py watches it, rollout.py holds the rule).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from domains.errors import DomainError
from edge_runtime.errors import DeadlineExceeded, EdgeError, Overloaded
from edge_runtime.inference import Tensor
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.routing import model_hint
from edge_runtime.scheduler import Priority
from edge_runtime.wire import Track
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.ports import RolloutStore
from gateway.service.records import Analysis, Deployment, Rollback
from gateway.service.running_trial import RunningTrial
from gateway.service.verdicts import CLIPS

logger = structlog.get_logger("hedgerow.models")

SAVE_EVERY_S = 5.0
"""A crash costs a trial's counters at most what came in the last so many seconds."""
MAX_HELD = 64
"""Requests that may wait, after a start, for the versions that were in service before it."""
CANARY_TIME = 0.5
"""Share of a request's time after which it no longer waits for a candidate, and the version in service answers."""
CLOSE_TIMEOUT_S = 3.0
OTHERS_TIMEOUT_S = 30.0
OTHERS_EVERY_S = 0.1
RETRIES = 20
RETRY_EVERY_S = 3.0

Deployments = Mapping[str, Deployment]


class Rollouts:
    """Versions in service and on trial, over a node. Use from one event loop."""

    def __init__(self, node: Node, store: RolloutStore) -> None:
        self._node = node
        self._store = store
        self._deployments: dict[str, Deployment] = {}
        self._trials: dict[str, RunningTrial] = {}
        self._faults: dict[str, str] = {}
        self._withdrawn: frozenset[str] = frozenset()
        self._switching = asyncio.Lock()
        self._restored = asyncio.Event()
        self._held = 0
        self._saved_at: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether the versions from before the last stop are in service again."""
        return self._restored.is_set()

    async def wait_ready(self) -> None:
        """Returns as soon as it is."""
        await self._restored.wait()

    async def restore(self) -> None:
        """Serves what was in service before the program stopped, once the node can. Call it once; it never raises.

        A version that can't be served any more gives way to the one that came with the program; `fault_of` says why.
        """
        try:
            stored = {row.model: row for row in await asyncio.to_thread(self._store.deployments)}
            if any(row.active or row.trial for row in stored.values()):
                await self._node.wait_ready()
                await self._wait_for_the_others()
                stored = await self._serve_what_can_be(stored)
            self._deployments = stored
            for row in stored.values():
                self._begin(row)
        except Exception as error:
            logger.error("versions of models could not be restored", kind=type(error).__name__)
        finally:
            self._restored.set()

    async def close(self) -> None:
        """Ends comparisons and saves the counters."""
        for trial in self._trials.values():
            trial.end()
        if self._background:
            await asyncio.wait(self._background, timeout=CLOSE_TIMEOUT_S)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for model in list(self._trials):
            await self._save(model)

    def deployment(self, model: str) -> Deployment:
        """What is in service and on trial, with the counters as they are now."""
        known = self._deployments.get(model) or Deployment(model)
        running = self._trials.get(model)
        return known if running is None else replace(known, trial=running.trial)

    def fault_of(self, model: str) -> str:
        """Why the version that was in service before the last start isn't now; empty where it is."""
        return self._faults.get(model, "")

    async def change(self, model: str, update: Callable[[Deployment], Deployment]) -> Deployment:
        """Serves a model as `update` says, then remembers it. Requests go on meanwhile.

        Raises PackageError, and leaves all as it was, where a version can't be trusted.
        """
        async with self._switching:
            before = self.deployment(model)
            after = update(before)
            if after == before:
                return before
            withdrawn, self._withdrawn = self._withdrawn, self._withdrawn - {model}
            try:
                await self._serve({**self._deployments, model: after})
                await asyncio.to_thread(self._store.save, after)
            except EdgeError:
                self._withdrawn = withdrawn
                raise
            except Exception:
                self._withdrawn = withdrawn
                await self._serve(self._deployments)
                raise
            self._deployments[model] = after
            self._faults.pop(model, None)
            if after.trial != before.trial:
                self._end(model)
                self._begin(after)
            return after

    @property
    def withdrawn(self) -> frozenset[str]:
        """The models of which no version is served, though there is one."""
        return self._withdrawn

    async def withdraw(self, model: str) -> None:
        """Serves no version of a model until one is activated, it is put back, or the program starts anew."""
        async with self._switching:
            if self.deployment(model).trial is not None:
                raise ServiceError(ErrorCode.CONFLICT, f"a version of {model} is on trial; end that first")
            await self._serve_but(self._withdrawn | {model})

    async def put_back(self, model: str) -> None:
        """Serves a model that was withdrawn again, in the version that was in service. Raises PackageError."""
        async with self._switching:
            await self._serve_but(self._withdrawn - {model})

    async def infer(self, model: str, inputs: Sequence[Tensor], *, timeout_s: float, tenant: str) -> Answer:
        """Runs the network of the version in service on tensors, as Node.infer does."""
        began = asyncio.get_running_loop().time()
        await self._wait_restored(timeout_s)
        left_s = max(0.0, began + timeout_s - asyncio.get_running_loop().time())
        return await self._node.infer(model, inputs, priority=Priority.INTERACTIVE, timeout_s=left_s, tenant=tenant)

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        request_id: str, priority: Priority, timeout_s: float, tenant: str, renew: Renew | None = None,
    ) -> Answer:
        """Answers one upload, as Node.analyse does, by the version whose turn it is.

        Where a candidate fails the version in service answers instead.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._wait_restored(timeout_s)

        async def run(track: Track, share: float = 1.0) -> Answer:
            left_s = max(0.0, deadline - loop.time())
            return await self._node.analyse(
                domain, payload, parameters, priority=priority, timeout_s=left_s * share, tenant=tenant, track=track,
                renew=renew,
            )

        trial = self._canary(domain, parameters, request_id)
        if trial is None:
            return await run("active")
        failure: DomainError | EdgeError | None = None
        try:
            answer = await run("candidate", CANARY_TIME)
        except (DomainError, EdgeError) as error:
            failure = error
        else:
            if not self._is_in_shadow(answer):
                if answer.reply.model["version"] == trial.trial.version:
                    trial.answered()
                return answer
        answer = await run("active")
        if failure is not None:
            trial.failed(failure)
        return answer

    def observe(self, analysis: Analysis, payload: bytes, parameters: Mapping[str, Any]) -> None:
        """To be told of every answer once it is stored, with the caller's own parameters. Returns at once; clips aren't
        compared.
        """
        trial = self._trials.get(analysis.model)
        if trial is not None and analysis.result["kind"] not in CLIPS:
            trial.observe(analysis, payload, parameters)

    async def _wait_restored(self, timeout_s: float) -> None:
        if self._restored.is_set():
            return
        if self._held >= MAX_HELD:
            raise Overloaded("the gateway is starting", retry_after_s=1.0)
        self._held += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._restored.wait()
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {timeout_s:g} s") from None
        finally:
            self._held -= 1

    def _canary(self, domain: str, parameters: Mapping[str, Any], request_id: str) -> RunningTrial | None:
        """The trial whose candidate answers this request. A request that doesn't name its model, such as a DICOM file that
        says its exam itself, takes part only where its domain has one trial: else it could meet another one's candidate.
        """
        if not self._trials:
            return None
        models = self._node.models()
        hint = model_hint(domain, parameters, models)
        in_domain = {model.name for model in models if model.domain == domain}
        named = [hint] if hint else [model for model in self._trials if model in in_domain]
        trial = self._trials.get(named[0]) if len(named) == 1 else None
        return trial if trial is not None and trial.takes(request_id) else None

    def _is_in_shadow(self, answer: Answer) -> bool:
        """Whether no caller may see it: the versions can change while a request runs."""
        trial = self._trials.get(answer.reply.model["name"])
        return trial is not None and trial.trial.mode == "shadow" and answer.reply.model["version"] == trial.trial.version

    async def _serve(self, deployments: Deployments) -> None:
        active = {name: row.active for name, row in deployments.items() if row.active}
        await self._node.serve(
            active | dict.fromkeys(self._withdrawn, ""),
            {name: row.trial.version for name, row in deployments.items() if row.trial},
        )

    async def _serve_but(self, withdrawn: frozenset[str]) -> None:
        before, self._withdrawn = self._withdrawn, withdrawn
        if withdrawn == before:
            return
        try:
            await self._serve(self._deployments)
        except EdgeError:
            self._withdrawn = before
            raise

    async def _wait_for_the_others(self) -> None:
        """Until every node that is there can check packages: one that can't yet would seem to refuse them."""
        deadline = asyncio.get_running_loop().time() + OTHERS_TIMEOUT_S
        while not all(state.ready for state in self._node.states() if state.reachable):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(OTHERS_EVERY_S)

    async def _serve_what_can_be(self, stored: Deployments) -> dict[str, Deployment]:
        try:
            await self._serve(stored)
        except EdgeError:
            pass
        else:
            return dict(stored)
        kept: dict[str, Deployment] = {}
        for model, row in stored.items():
            for tried in (row, replace(row, trial=None), replace(row, active="", trial=None)):
                try:
                    await self._serve({**kept, model: tried})
                except EdgeError as error:
                    self._faults[model] = str(error)
                    logger.error("a version that was in service or on trial can't be served", model=model, cause=str(error))
                else:
                    kept[model] = tried
                    break
        return kept

    def _begin(self, row: Deployment) -> None:
        if row.trial is not None:
            self._trials[row.model] = RunningTrial(
                self._node, self._store, row.model, row.trial, on_counted=self._counted, on_out=self._out
            )

    def _end(self, model: str) -> None:
        running = self._trials.pop(model, None)
        if running is not None:
            running.end()

    def _counted(self, running: RunningTrial) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._saved_at.get(running.model, 0.0) >= SAVE_EVERY_S:
            self._saved_at[running.model] = now
            self._spawn(self._save(running.model))

    async def _save(self, model: str) -> None:
        """Keeps the counters, unless the version is being changed: that saves them too."""
        if self._switching.locked():
            return
        async with self._switching:
            try:
                await asyncio.to_thread(self._store.save, self.deployment(model))
            except Exception as error:
                logger.error("a trial's counters could not be stored", model=model, kind=type(error).__name__)

    def _out(self, running: RunningTrial, cause: str) -> None:
        trial = running.trial
        row = replace(self._deployments[running.model], trial=trial)
        self._trials.pop(running.model, None)
        rollback = Rollback(trial.version, row.active, datetime.now(UTC), cause, automatic=True)
        self._deployments[running.model] = replace(row, trial=None, last_rollback=rollback)
        logger.warning(
            "a version on trial was taken out", model=running.model, version=trial.version, mode=trial.mode, cause=cause,
            in_service=row.active or "that of the program", compared=trial.tally.compared, disagreed=trial.tally.disagreed,
        )
        self._spawn(self._take_out(running.model))

    async def _take_out(self, model: str) -> None:
        """No request goes to the candidate any more: what is left is to remember it, and to free the devices of it."""
        for _ in range(RETRIES):
            try:
                async with self._switching:
                    await asyncio.to_thread(self._store.save, self.deployment(model))
                    await self._serve(self._deployments)
                return
            except Exception as error:
                logger.error("a version taken out is still loaded", model=model, kind=type(error).__name__)
                await asyncio.sleep(RETRY_EVERY_S)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

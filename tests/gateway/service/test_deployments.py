"""Whatever an operator does, in whatever order: what is served, what is remembered and what is told are the same."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import EdgeError
from edge_runtime.scheduler import Priority
from edge_runtime.versions import ModelStore
from gateway.service.deployments import DeploymentService, ModelStatus
from gateway.service.errors import ServiceError
from gateway.service.keys import ADMIN, Caller
from gateway.service.trials import Rollouts
from tests.gateway.service.test_trials import LUNG, MemoryStore
from tests.model_packages import tiny_archive
from tests.versioned_node import Behaviour, VersionedNode

OPERATOR = Caller("k", "clinic", frozenset({ADMIN}))
GOOD, BAD = ("1.0.0", "1.1.0", "1.2.0"), "6.6.6"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("activate"), st.sampled_from([*GOOD, BAD]), st.sampled_from(["full", "shadow", "canary"])),
        st.just(("roll back", "", "")),
        st.just(("restart", "", "")),
        st.just(("ask", "", "")),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    store = ModelStore(tmp_path_factory.mktemp("models"))
    for version in (*GOOD[1:], BAD):
        store.install(tiny_archive(LUNG, version))
    return store


class Operator:
    """One gateway after another over the same store, and what ought to be in service."""

    def __init__(self, packages: ModelStore) -> None:
        self._packages = packages
        self.store = MemoryStore()
        self.history = ["1.0.0"]
        self.on_trial = ""
        self.start()

    def start(self) -> None:
        """A fresh node and a fresh gateway, as after a restart."""
        behaviours = {(LUNG, version): Behaviour() for version in GOOD} | {(LUNG, BAD): Behaviour(refused="wrong")}
        self.node = VersionedNode({LUNG: "1.0.0"}, behaviours)
        self.rollouts = Rollouts(self.node, self.store)
        self.service = DeploymentService(
            self.node, self._packages, self.store, self.rollouts, shipped=self.node.shipped
        )

    async def do(self, step: tuple[str, str, str]) -> None:
        """One step, with what ought to come of it."""
        action, version, mode = step
        if action == "ask":
            await self._ask()
        elif action == "restart":
            await self.rollouts.close()
            self.start()
            await self.rollouts.restore()
        elif action == "roll back":
            await self._roll_back()
        else:
            await self._activate(version, mode)

    async def _activate(self, version: str, mode: Any) -> None:
        possible = version != BAD and (mode == "full" or version not in {self.history[-1], "1.0.0"})
        work = self.service.activate(OPERATOR, LUNG, version, mode=mode, share=1.0 if mode == "canary" else None)
        if await _refused(work):
            assert not possible
            return
        assert possible
        if mode == "full" and self.history[-1] != version:
            self.history.append(version)
        self.on_trial = "" if mode == "full" else version

    async def _roll_back(self) -> None:
        refused = await _refused(self.service.rollback(OPERATOR, LUNG))
        assert refused == (not self.on_trial and len(self.history) == 1)
        if self.on_trial:
            self.on_trial = ""
        elif not refused:
            self.history.pop()

    async def _ask(self) -> None:
        answer = await self.rollouts.analyse(
            "pathology", b"x", {"exam": LUNG}, request_id="r", priority=Priority.INTERACTIVE, timeout_s=5.0, tenant="t"
        )
        trial = self.rollouts.deployment(LUNG).trial
        by_canary = trial is not None and trial.mode == "canary"
        assert answer.reply.model["version"] == (self.on_trial if by_canary else self.history[-1])

    async def check(self) -> None:
        """What is served, remembered and told."""
        status = await self.service.status(OPERATOR, LUNG)
        assert (status.in_service, status.trial.version if status.trial else "") == (self.history[-1], self.on_trial)
        assert status.fault == ""
        served = self.node.active.get(LUNG, "1.0.0"), self.node.candidates.get(LUNG, "")
        assert served == (self.history[-1], self.on_trial)
        if LUNG in self.store.rows:
            kept = self.store.rows[LUNG]
            assert (kept.active or "1.0.0", kept.trial.version if kept.trial else "") == served
        assert _states(status) == {
            version: "in_service" if version == self.history[-1] else "on_trial" if version == self.on_trial else "idle"
            for version in (*GOOD, BAD)
        }


def _states(status: ModelStatus) -> dict[str, str]:
    return {row.version: row.state for row in status.versions}


async def _refused(work: Coroutine[Any, Any, Any]) -> bool:
    try:
        await work
    except (ServiceError, EdgeError):
        return True
    return False


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_is_done_in_whatever_order_all_views_agree(packages: ModelStore, steps: list[tuple[str, str, str]]) -> None:
    async def whole() -> None:
        operator = Operator(packages)
        await operator.rollouts.restore()
        for step in steps:
            await operator.do(step)
            await operator.check()
        await operator.rollouts.close()

    asyncio.run(whole())


def test_a_restart_after_the_program_was_updated_follows_the_new_programs_version(packages: ModelStore) -> None:
    """Only a version that was activated stays: one that came with the program goes with the program."""

    async def whole() -> None:
        operator = Operator(packages)
        await operator.rollouts.restore()
        await operator.service.activate(OPERATOR, LUNG, "1.1.0")
        await operator.service.rollback(OPERATOR, LUNG)
        node = VersionedNode({LUNG: "2.0.0"})
        rollouts = Rollouts(node, operator.store)
        updated = DeploymentService(node, packages, operator.store, rollouts, shipped=node.shipped)
        await rollouts.restore()
        assert (await updated.status(OPERATOR, LUNG)).in_service == "2.0.0"
        assert node.active == {}

    asyncio.run(whole())

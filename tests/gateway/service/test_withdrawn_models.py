"""A model taken out of service: nobody is answered by it, over any protocol, until it is put back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_runtime.errors import PackageError
from edge_runtime.versions import ModelStore
from gateway.service.deployments import WITHDRAWN, DeploymentService
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ADMIN, READ, Caller
from gateway.service.trials import Rollouts
from tests.gateway.service.test_trials import LUNG, MemoryStore
from tests.model_packages import tiny_archive
from tests.versioned_node import Behaviour, VersionedNode

OPERATOR = Caller("k", "clinic", frozenset({ADMIN}))
BREAST = "breast_ultrasound"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[VersionedNode, DeploymentService]]:
    """Two models of the program, one of them in a further version."""
    node = VersionedNode({LUNG: "1.0.0", BREAST: "1.0.0"}, {(LUNG, "1.1.0"): Behaviour(), (LUNG, "6.6.6"): Behaviour(refused="wrong")})
    packages = ModelStore(folder)
    for version in ("1.1.0", "6.6.6"):
        packages.install(tiny_archive(LUNG, version))
    store = MemoryStore()
    rollouts = Rollouts(node, store)
    await rollouts.restore()
    yield node, DeploymentService(node, packages, store, rollouts, shipped=node.shipped)
    await rollouts.close()


def served(node: VersionedNode) -> list[str]:
    return sorted(model.name for model in node.models())


def test_it_is_gone_and_back_in_the_version_that_was_in_service(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (node, service):
            await service.activate(OPERATOR, LUNG, "1.1.0")
            await service.withdraw(OPERATOR, LUNG)
            assert served(node) == [BREAST]
            gone = await service.status(OPERATOR, LUNG)
            assert (gone.in_service, gone.fault) == ("", WITHDRAWN)
            assert {row.state for row in gone.versions} == {"idle"}
            await service.put_back(OPERATOR, LUNG)
            assert (served(node), node.active) == ([BREAST, LUNG], {LUNG: "1.1.0"})

    asyncio.run(test())


def test_activating_a_version_puts_it_back_and_one_that_is_refused_doesnt(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (node, service):
            await service.withdraw(OPERATOR, LUNG)
            with pytest.raises(PackageError):
                await service.activate(OPERATOR, LUNG, "6.6.6")
            assert served(node) == [BREAST]
            await service.activate(OPERATOR, LUNG, "1.1.0")
            assert served(node) == [BREAST, LUNG]
            assert (await service.status(OPERATOR, LUNG)).in_service == "1.1.0"

    asyncio.run(test())


def test_a_model_on_trial_stays_and_so_does_one_that_nobody_may_take(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as (node, service):
            await service.activate(OPERATOR, LUNG, "1.1.0", mode="shadow")
            for work, code in (
                (service.withdraw(OPERATOR, LUNG), ErrorCode.CONFLICT),
                (service.withdraw(OPERATOR, "none"), ErrorCode.NOT_FOUND),
                (service.withdraw(Caller("k", "clinic", frozenset({READ})), BREAST), ErrorCode.PERMISSION_DENIED),
                (service.put_back(Caller("k", "clinic", frozenset({READ})), BREAST), ErrorCode.PERMISSION_DENIED),
            ):
                with pytest.raises(ServiceError) as refused:
                    await work
                assert refused.value.code is code
            assert served(node) == [BREAST, LUNG]

    asyncio.run(test())

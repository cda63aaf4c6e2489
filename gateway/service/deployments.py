"""Models changed while the gateway serves: install a version, put it into service or on trial, take it out again.

Every method but `status` and `disagreements` changes what all callers get, and every one needs the scope `admin`. Where a
package can't be trusted they raise PackageError, whose sentence says why, and nothing is changed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import structlog

from edge_runtime.errors import PackageError
from edge_runtime.node import Node
from edge_runtime.versions import Identity, ModelStore, read_identity
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ADMIN, Caller
from gateway.service.ports import RolloutStore
from gateway.service.records import Deployment, Disagreement, Rollback, Trial
from gateway.service.rollout import DISAGREEMENT_ALLOWED, Mode
from gateway.service.trials import Rollouts

logger = structlog.get_logger("hedgerow.models")

Activation = Literal["full"] | Mode
CANARY_SHARE = 0.05
MAX_PREVIOUS = 20
MAX_PAGE = 200
BY_HAND = "by hand"
WITHDRAWN = "it was taken out of service by hand; activate a version, or load it over the Open Inference Protocol"


@dataclass(frozen=True, slots=True)
class Version:
    """A version that could be in service."""

    version: str
    origin: Literal["program", "installed"]
    state: Literal["in_service", "on_trial", "idle"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's versions and what becomes of them. Versions are empty where there is none."""

    model: str
    in_service: str
    rolls_back_to: str | None
    """What a rollback would put into service; None where there is nothing to roll back."""
    versions: Sequence[Version]
    trial: Trial | None
    last_rollback: Rollback | None
    fault: str
    """Why none is in service, or why not the one from before the last start."""


@dataclass(frozen=True, slots=True)
class DisagreementPage:
    """One page, newest first. `next_id` is the cursor of the next one; None on the last."""

    disagreements: Sequence[Disagreement]
    next_id: str | None


class DeploymentService:
    """Versions of models, for whoever runs the gateway. Methods raise ServiceError or EdgeError.

    `shipped`: the versions that came with the program, by model.
    """

    def __init__(
        self, node: Node, packages: ModelStore, store: RolloutStore, rollouts: Rollouts, *, shipped: Mapping[str, str]
    ) -> None:
        self._node = node
        self._packages = packages
        self._store = store
        self._rollouts = rollouts
        self._shipped = shipped

    async def install(self, caller: Caller, archive: bytes) -> Identity:
        """Keeps a package (a ZIP of its folder) on every node, ready to be activated. Nothing is served by it yet."""
        caller.require(ADMIN)
        if not archive:
            raise ServiceError(ErrorCode.EMPTY_BODY, "the body is empty: send the package as a ZIP")
        identity = await asyncio.to_thread(read_identity, archive)
        served = {model.domain for model in self._node.models() if model.name == identity.name and model.domain}
        await asyncio.to_thread(self._check, identity, served)
        await asyncio.to_thread(self._packages.install, archive)
        await self._node.install(archive)
        logger.info("version installed", model=identity.name, version=identity.version, key_id=caller.key_id)
        return identity

    async def activate(
        self, caller: Caller, model: str, version: str, *,
        mode: Activation = "full", share: float | None = None, allowed_disagreement: float | None = None,
    ) -> ModelStatus:
        """Puts a version into service (`full`), or on trial beside the one in service (`shadow`, `canary`).

        It is verified, warmed and asked for its known answer first. `share`: which share of the callers a canary answers,
        CANARY_SHARE unless given. `allowed_disagreement`: see gateway/service/rollout.py. A trial that is on is ended.
        """
        caller.require(ADMIN)
        _check_numbers(mode, share, allowed_disagreement)
        known = await asyncio.to_thread(self._known, model)
        if version not in known:
            listed = ", ".join(known)
            raise ServiceError(ErrorCode.NOT_FOUND, f"{model} has no version of that name; it has {listed}")
        wanted = "" if known[version] == "program" else version

        def update(now: Deployment) -> Deployment:
            in_service = now.active or self._shipped.get(model, "")
            if mode == "full":
                previous = now.previous if version == in_service else (*now.previous, now.active)[-MAX_PREVIOUS:]
                return replace(now, active=wanted, previous=previous, trial=None)
            if not in_service:
                raise _invalid("no version of that model is in service to compare with; activate it fully", "mode")
            if version == in_service:
                raise _invalid("that version is in service already", "version")
            if not wanted:
                raise _invalid("the version that came with the program can't be on trial; activate it fully", "version")
            allowed = DISAGREEMENT_ALLOWED if allowed_disagreement is None else allowed_disagreement
            canary = 0.0 if mode == "shadow" else CANARY_SHARE if share is None else share
            return replace(now, trial=Trial(wanted, mode, datetime.now(UTC), canary, allowed))

        await self._rollouts.change(model, update)
        logger.info("version activated", model=model, version=version, mode=mode, key_id=caller.key_id)
        return await self._status(model)

    async def rollback(self, caller: Caller, model: str) -> ModelStatus:
        """Ends the trial where one is on, else puts the version before into service again."""
        caller.require(ADMIN)
        await asyncio.to_thread(self._known, model)

        def update(now: Deployment) -> Deployment:
            at = datetime.now(UTC)
            if now.trial is not None:
                return replace(now, trial=None, last_rollback=Rollback(now.trial.version, now.active, at, BY_HAND, automatic=False))
            if not now.previous:
                raise ServiceError(
                    ErrorCode.CONFLICT, "there is nothing to roll back to: no other version was in service, and none is on trial"
                )
            *previous, instead = now.previous
            return replace(now, active=instead, previous=tuple(previous),
                           last_rollback=Rollback(now.active, instead, at, BY_HAND, automatic=False))

        after = await self._rollouts.change(model, update)
        taken = after.last_rollback
        logger.info("version rolled back", model=model, version=taken and self._named(model, taken.version), key_id=caller.key_id)
        return await self._status(model)

    async def withdraw(self, caller: Caller, model: str) -> None:
        """Serves no version of a model any more, until it is put back, one is activated, or the program starts anew."""
        caller.require(ADMIN)
        await asyncio.to_thread(self._known, model)
        await self._rollouts.withdraw(model)
        logger.info("model withdrawn", model=model, key_id=caller.key_id)

    async def put_back(self, caller: Caller, model: str) -> None:
        """Serves a withdrawn model again; nothing happens to one that is served."""
        caller.require(ADMIN)
        await asyncio.to_thread(self._known, model)
        await self._rollouts.put_back(model)
        logger.info("model put back", model=model, key_id=caller.key_id)

    async def status(self, caller: Caller, model: str) -> ModelStatus:
        """A model's versions, its trial and its last rollback."""
        caller.require(ADMIN)
        return await self._status(model)

    async def disagreements(self, caller: Caller, model: str, *, cursor: str | None, limit: int) -> DisagreementPage:
        """What trials of a model found to differ, of the caller's tenant's own analyses, newest first."""
        caller.require(ADMIN)
        if not 1 <= limit <= MAX_PAGE:
            raise _invalid(f"a page has 1 to {MAX_PAGE} disagreements", "limit")
        await asyncio.to_thread(self._known, model)
        try:
            rows = await asyncio.to_thread(
                self._store.disagreements, caller.tenant, model, before_id=cursor, limit=limit + 1
            )
        except ValueError as error:
            raise _invalid("not a cursor of an earlier page", "cursor") from error
        return DisagreementPage(rows[:limit], rows[limit - 1].analysis_id if len(rows) > limit else None)

    def _check(self, identity: Identity, domains: set[str]) -> None:
        """Raises PackageError for a version that is the program's own, or a model that is one of another domain."""
        name = identity.name
        if self._shipped.get(name) == identity.version:
            raise PackageError(
                f"model package {name}: version {identity.version} is the one that came with the program; "
                "give this one a version of its own"
            )
        domains |= {self._packages.identity(name, version).domain for version in self._packages.versions(name)}
        if domains and identity.domain not in domains:
            raise PackageError(f"model package {name}: it is of the domain {identity.domain!r}, "
                               f"the {name} that is there already of {', '.join(sorted(domains))}")

    def _known(self, model: str) -> dict[str, Literal["program", "installed"]]:
        """Versions by name, with where they come from. Raises NOT_FOUND for a model of which there is none."""
        found: dict[str, Literal["program", "installed"]] = {}
        if model in self._shipped:
            found[self._shipped[model]] = "program"
        for version in self._packages.versions(model):
            found.setdefault(version, "installed")
        if not found:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no model of that name")
        return found

    async def _status(self, model: str) -> ModelStatus:
        known = await asyncio.to_thread(self._known, model)
        now = self._rollouts.deployment(model)
        withdrawn = model in self._rollouts.withdrawn
        in_service = "" if withdrawn else self._named(model, now.active)
        states: dict[str, Literal["in_service", "on_trial"]] = {in_service: "in_service"}
        if now.trial is not None:
            states[now.trial.version] = "on_trial"
        back_to = in_service if now.trial else self._named(model, now.previous[-1]) if now.previous else None
        rolled = now.last_rollback
        return ModelStatus(
            model, in_service, back_to,
            [Version(version, origin, states.get(version, "idle")) for version, origin in known.items()],
            now.trial,
            rolled and replace(rolled, version=self._named(model, rolled.version), instead=self._named(model, rolled.instead)),
            WITHDRAWN if withdrawn else self._rollouts.fault_of(model),
        )

    def _named(self, model: str, version: str) -> str:
        """A version as callers see it: that of the program has a name of its own too."""
        return version or self._shipped.get(model, "")


def _check_numbers(mode: Activation, share: float | None, allowed_disagreement: float | None) -> None:
    if share is not None and mode != "canary":
        raise _invalid("only a canary has a share", "share")
    if share is not None and not 0 < share <= 1:
        raise _invalid("a canary's share lies above 0 and goes up to 1", "share")
    if allowed_disagreement is not None and mode == "full":
        raise _invalid("only a shadow or a canary is compared", "allowed_disagreement")
    if allowed_disagreement is not None and not 0 <= allowed_disagreement <= 1:
        raise _invalid("the allowed disagreement is a share, 0 to 1", "allowed_disagreement")


def _invalid(message: str, parameter: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, message, parameter=parameter)

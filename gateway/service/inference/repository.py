"""The protocol's model repository over the versions of models that the gateway keeps."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.service.analyses import AnalysisService
from gateway.service.deployments import DeploymentService
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import invalid
from gateway.service.inference.models import names_of, package_of
from gateway.service.keys import ADMIN, Caller
from gateway.service.trials import Rollouts

FILE = "file:"
READY, UNAVAILABLE = "READY", "UNAVAILABLE"


class _Specific(msgspec.Struct):
    versions: list[str | int]


class _Policy(msgspec.Struct):
    specific: _Specific | None = None


class _Config(msgspec.Struct):
    """What is heeded of a configuration that a caller gives."""

    version_policy: _Policy = msgspec.field(default_factory=_Policy)


class Repository:
    """Index for whoever has a key, load and unload with the scope `admin`. Methods raise ServiceError or EdgeError."""

    def __init__(self, analyses: AnalysisService, deployments: DeploymentService, rollouts: Rollouts) -> None:
        self._analyses = analyses
        self._deployments = deployments
        self._rollouts = rollouts

    async def index(self, caller: Caller, *, ready: bool) -> list[dict[str, str]]:
        """Every model with its state, or those that are served alone. Versions that aren't in service are told with the scope
        `admin`.
        """
        rows = []
        for info in self._analyses.models():
            state = READY if info.state == "ready" else UNAVAILABLE
            rows.append((info.name, info.version, state, info.reason))
            if ADMIN in caller.scopes and info.state == "ready":
                known = (await self._deployments.status(caller, info.name)).versions
                rows += [(info.name, row.version, UNAVAILABLE, "not in service") for row in known if row.version != info.version]
        served = {row[0] for row in rows}
        rows += [(name, "", UNAVAILABLE, "unloaded") for name in sorted(self._rollouts.withdrawn - served)]
        return [
            {"name": name, "version": version, "state": state, "reason": reason}
            for package, version, state, reason in rows for name in names_of(package) if not ready or state == READY
        ]

    async def load(self, caller: Caller, model: str, parameters: Mapping[str, Any]) -> None:
        """Serves a model: the version that was in service; the one that `config` names in its version policy; or the package
        (a ZIP of its folder) that comes as a `file:`, which is installed first. NAME and NAME.network are one package.
        """
        caller.require(ADMIN)
        package = package_of(model)
        files = {name: content for name, content in parameters.items() if name.startswith(FILE)}
        unknown = sorted(set(parameters) - set(files) - {"config"})
        if unknown or len(files) > 1:
            raise invalid("a load takes the parameter config, and one file:, a package as a ZIP", (unknown or sorted(files))[0])
        version = _version_of(parameters.get("config"))
        for content in files.values():
            identity = await self._deployments.install(caller, content)
            if identity.name != package or version not in {"", identity.version}:
                raise invalid(f"the package is {identity.name} {identity.version}; it is kept, and not put into service", "model_name")
            version = identity.version
        if version:
            await self._deployments.activate(caller, package, version)
        else:
            await self._deployments.put_back(caller, package)

    async def unload(self, caller: Caller, model: str) -> None:
        """Serves a model no more, over any of the protocols, until it is loaded or the gateway starts anew. Raises NOT_FOUND."""
        await self._deployments.withdraw(caller, package_of(model))


def _version_of(config: object) -> str:
    """The one version that a configuration asks for; empty where it asks for none. Raises INVALID_ARGUMENT."""
    if config is None:
        return ""
    try:
        policy = msgspec.json.decode(str(config), type=_Config).version_policy.specific
    except msgspec.MsgspecError as error:
        raise invalid("is no configuration of a model in JSON", "config") from error
    if policy is None:
        return ""
    if len(policy.versions) != 1:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "one version of a model is served at a time: name one", parameter="config")
    return str(policy.versions[0])

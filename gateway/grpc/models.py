"""The calls of hedgerow.v1.ModelService: each converts a message, calls the service, and converts what comes back."""

from collections.abc import AsyncIterator

from gateway.grpc.calls import DEFAULT_PAGE, Calls, Context
from gateway.service.analyses import Policy
from gateway.service.deployments import Activation, DeploymentService, ModelStatus
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ADMIN, Caller
from gateway.service.records import Disagreement, Rollback, Trial
from gateway.service.requests import RequestContext
from gateway.service.rollout import Side, wilson
from protos.hedgerow.v1 import models_pb2 as pb
from protos.hedgerow.v1 import models_pb2_grpc

_MODES: dict[int, Activation] = {
    pb.ACTIVATION_MODE_UNSPECIFIED: "full",
    pb.ACTIVATION_MODE_FULL: "full",
    pb.ACTIVATION_MODE_SHADOW: "shadow",
    pb.ACTIVATION_MODE_CANARY: "canary",
}


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """The gRPC face of DeploymentService. `policy`: the bounds of an upload."""

    def __init__(self, deployments: DeploymentService, policy: Policy, calls: Calls) -> None:
        self._deployments = deployments
        self._policy = policy
        self._answer = calls.answer

    async def InstallModel(
        self, requests: AsyncIterator[pb.InstallModelRequest], context: Context
    ) -> pb.InstallModelResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.InstallModelResponse:
            caller.require(ADMIN)
            installed = await self._deployments.install(caller, await _collect(requests, self._policy))
            return pb.InstallModelResponse(model=installed.name, version=installed.version, domain=installed.domain)

        return await self._answer("InstallModel", context, work)

    async def ActivateModel(self, request: pb.ActivateModelRequest, context: Context) -> pb.ActivateModelResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.ActivateModelResponse:
            if request.mode not in _MODES:
                raise ServiceError(ErrorCode.INVALID_ARGUMENT, "there is no such mode", parameter="mode")
            status = await self._deployments.activate(
                caller, request.model, request.version, mode=_MODES[request.mode],
                share=request.share if request.HasField("share") else None,
                allowed_disagreement=request.allowed_disagreement if request.HasField("allowed_disagreement") else None,
            )
            return pb.ActivateModelResponse(status=status_to_proto(status))

        return await self._answer("ActivateModel", context, work)

    async def RollBackModel(self, request: pb.RollBackModelRequest, context: Context) -> pb.RollBackModelResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.RollBackModelResponse:
            return pb.RollBackModelResponse(status=status_to_proto(await self._deployments.rollback(caller, request.model)))

        return await self._answer("RollBackModel", context, work)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.GetModelResponse:
            return pb.GetModelResponse(status=status_to_proto(await self._deployments.status(caller, request.model)))

        return await self._answer("GetModel", context, work)

    async def ListDisagreements(
        self, request: pb.ListDisagreementsRequest, context: Context
    ) -> pb.ListDisagreementsResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.ListDisagreementsResponse:
            page = await self._deployments.disagreements(
                caller, request.model, cursor=request.page_token or None, limit=request.page_size or DEFAULT_PAGE
            )
            return pb.ListDisagreementsResponse(
                disagreements=map(_disagreement, page.disagreements), next_page_token=page.next_id or ""
            )

        return await self._answer("ListDisagreements", context, work)


async def _collect(requests: AsyncIterator[pb.InstallModelRequest], policy: Policy) -> bytes:
    chunks, size = [], 0
    async for message in requests:
        size += len(message.chunk)
        policy.check_size(size)
        chunks.append(message.chunk)
    return b"".join(chunks)


def status_to_proto(status: ModelStatus) -> pb.ModelStatus:
    """A model's versions and what becomes of them."""
    return pb.ModelStatus(
        model=status.model,
        in_service=status.in_service,
        rolls_back_to=status.rolls_back_to,
        versions=[pb.ModelVersion(version=row.version, origin=row.origin, state=row.state) for row in status.versions],
        trial=_trial(status.trial) if status.trial else None,
        last_rollback=_rollback(status.last_rollback) if status.last_rollback else None,
        fault=status.fault,
    )


def _trial(trial: Trial) -> pb.Trial:
    tally, medians = trial.tally, trial.tally.medians_ms()
    low, high = wilson(tally.disagreed, tally.compared)
    message = pb.Trial(
        version=trial.version, mode=trial.mode, share=trial.share, allowed_disagreement=trial.allowed_disagreement,
        runs=tally.runs, failed=tally.failed, compared=tally.compared, disagreed=tally.disagreed, skipped=tally.skipped,
        disagreement=pb.Interval(share=tally.disagreed / tally.compared, low=low, high=high) if tally.compared else None,
        median_ms=medians and pb.Medians(in_service=medians[0], candidate=medians[1]),
    )
    message.started_at.FromDatetime(trial.started_at)
    return message


def _rollback(rollback: Rollback) -> pb.Rollback:
    message = pb.Rollback(
        version=rollback.version, instead=rollback.instead, cause=rollback.cause, automatic=rollback.automatic
    )
    message.at.FromDatetime(rollback.at)
    return message


def _disagreement(row: Disagreement) -> pb.Disagreement:
    message = pb.Disagreement(
        analysis_id=row.analysis_id, mode=row.mode, difference=row.difference,
        in_service=_side(row.in_service_version, row.in_service), candidate=_side(row.candidate_version, row.candidate),
    )
    message.found_at.FromDatetime(row.found_at)
    return message


def _side(version: str, side: Side) -> pb.DisagreementSide:
    return pb.DisagreementSide(version=version, label=side.label, abstained=side.abstained, values=side.values)

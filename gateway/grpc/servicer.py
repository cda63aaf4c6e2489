"""The calls of hedgerow.v1.AnalysisService: each converts a message, calls the service, and converts what comes back."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.grpc.calls import DEFAULT_PAGE, Calls, Context, send
from gateway.grpc.messages import analysis_to_proto, domain_to_proto, model_to_proto, node_to_proto
from gateway.grpc.progress import Telling
from gateway.grpc.stream import connect
from gateway.grpc.upload import collect, consents_of, first_of, key_of, parameters_of
from gateway.service.analyses import HEATMAP, KEY_FRAME_PICTURE, MASK, OVERLAY, AnalysisService
from gateway.service.clips import OnProgress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import JobDesk, Order
from gateway.service.keys import Caller
from gateway.service.records import Analysis, AnalysisFilter
from gateway.service.requests import RequestContext
from gateway.service.streams.service import StreamService
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1 import analysis_pb2_grpc

_ARTIFACTS = {
    pb.ARTIFACT_OVERLAY: OVERLAY,
    pb.ARTIFACT_MASK: MASK,
    pb.ARTIFACT_HEATMAP: HEATMAP,
    pb.ARTIFACT_KEY_FRAME: KEY_FRAME_PICTURE,
}
WORD_S = 0.2
"""So long before its deadline a caller who waits for a job is told which one goes on, if it lasts that long."""
_Upload = pb.AnalyzeUploadRequest | pb.AnalyzeWithProgressRequest


class AnalysisServicer(analysis_pb2_grpc.AnalysisServiceServicer):
    """The gRPC face of AnalysisService and of StreamService; an analysis that has a key goes to `desk`, as a job."""

    def __init__(self, service: AnalysisService, streams: StreamService, desk: JobDesk, calls: Calls) -> None:
        self._service = service
        self._streams = streams
        self._desk = desk
        self._answer = calls.answer

    async def Analyze(self, request: pb.AnalyzeRequest, context: Context) -> pb.AnalyzeResponse:
        async def work(caller: Caller, about: RequestContext) -> pb.AnalyzeResponse:
            analysis = await self._analyse(caller, about, context, request, key_of(request), request.content)
            return pb.AnalyzeResponse(analysis=analysis_to_proto(analysis))

        return await self._answer("Analyze", context, work)

    async def AnalyzeUpload(
        self, requests: AsyncIterator[pb.AnalyzeUploadRequest], context: Context
    ) -> pb.AnalyzeUploadResponse:
        async def work(caller: Caller, about: RequestContext) -> pb.AnalyzeUploadResponse:
            analysis = await self._upload(caller, about, context, requests)
            return pb.AnalyzeUploadResponse(analysis=analysis_to_proto(analysis))

        return await self._answer("AnalyzeUpload", context, work)

    async def AnalyzeWithProgress(
        self, requests: AsyncIterator[pb.AnalyzeWithProgressRequest], context: Context
    ) -> None:
        async def work(caller: Caller, about: RequestContext) -> None:
            async with Telling(context) as telling:
                analysis = await self._upload(caller, about, context, requests, telling.on_progress)
            await send(context, pb.AnalyzeWithProgressResponse(analysis=analysis_to_proto(analysis)))

        await self._answer("AnalyzeWithProgress", context, work)

    async def Stream(self, requests: AsyncIterator[pb.StreamRequest], context: Context) -> None:
        async def work(caller: Caller, about: RequestContext) -> None:
            await connect(self._streams, caller, about, requests, context)

        await self._answer("Stream", context, work)

    async def GetAnalysis(self, request: pb.GetAnalysisRequest, context: Context) -> pb.GetAnalysisResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.GetAnalysisResponse:
            return pb.GetAnalysisResponse(analysis=analysis_to_proto(await self._service.get(caller, request.id)))

        return await self._answer("GetAnalysis", context, work)

    async def ListAnalyses(self, request: pb.ListAnalysesRequest, context: Context) -> pb.ListAnalysesResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.ListAnalysesResponse:
            page = await self._service.page(
                caller, _filter(request), cursor=request.page_token or None, limit=request.page_size or DEFAULT_PAGE
            )
            analyses = [analysis_to_proto(analysis) for analysis in page.analyses]
            return pb.ListAnalysesResponse(analyses=analyses, next_page_token=page.next_id or "")

        return await self._answer("ListAnalyses", context, work)

    async def DeleteAnalysis(self, request: pb.DeleteAnalysisRequest, context: Context) -> pb.DeleteAnalysisResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.DeleteAnalysisResponse:
            await self._service.delete(caller, request.id)
            return pb.DeleteAnalysisResponse()

        return await self._answer("DeleteAnalysis", context, work)

    async def GetArtifact(self, request: pb.GetArtifactRequest, context: Context) -> pb.GetArtifactResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.GetArtifactResponse:
            name = _ARTIFACTS.get(request.artifact)
            if name is None:
                raise ServiceError(ErrorCode.INVALID_ARGUMENT, "name the artifact: overlay, mask or heatmap, or key_frame of a clip",
                                   parameter="artifact")
            picture = await self._service.artifact(
                caller, request.id, name, key_frame=request.key_frame or 1, timeout_s=_allowed_s(context)
            )
            return pb.GetArtifactResponse(png=picture)

        return await self._answer("GetArtifact", context, work)

    async def ListDomains(self, request: pb.ListDomainsRequest, context: Context) -> pb.ListDomainsResponse:  # noqa: ARG002 - gRPC's signature
        async def work(_: Caller, __: RequestContext) -> pb.ListDomainsResponse:
            return pb.ListDomainsResponse(domains=map(domain_to_proto, self._service.domains()))

        return await self._answer("ListDomains", context, work)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: ARG002 - gRPC's signature
        async def work(_: Caller, __: RequestContext) -> pb.ListModelsResponse:
            return pb.ListModelsResponse(models=map(model_to_proto, self._service.models()))

        return await self._answer("ListModels", context, work)

    async def ListNodes(self, request: pb.ListNodesRequest, context: Context) -> pb.ListNodesResponse:  # noqa: ARG002 - gRPC's signature
        async def work(caller: Caller, _: RequestContext) -> pb.ListNodesResponse:
            return pb.ListNodesResponse(nodes=map(node_to_proto, self._service.nodes(caller)))

        return await self._answer("ListNodes", context, work)

    async def _upload(
        self, caller: Caller, about: RequestContext, context: Context, requests: AsyncIterator[_Upload],
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        start: pb.UploadStart = await first_of(requests)
        self._service.admit(caller, start.domain)
        key = key_of(start)
        content = await collect(requests, start.size_bytes, self._service.policy)
        return await self._analyse(caller, about, context, start, key, content, on_progress)

    async def _analyse(
        self, caller: Caller, about: RequestContext, context: Context, start: pb.AnalyzeRequest | pb.UploadStart, key: str,
        content: bytes, on_progress: OnProgress | None = None,
    ) -> Analysis:
        timeout_s = _allowed_s(context)
        if key:
            return await self._by_job(caller, about, start, key, content, timeout_s, on_progress)
        analysis = await self._desk.analyse(
            caller, start.domain, content, parameters_of(start), request_id=about.id, consents=consents_of(start),
            timeout_s=timeout_s, on_progress=on_progress,
        )
        about.analysis_id = analysis.id
        return analysis

    async def _by_job(
        self, caller: Caller, about: RequestContext, start: pb.AnalyzeRequest | pb.UploadStart, key: str, content: bytes,
        timeout_s: float | None, on_progress: OnProgress | None,
    ) -> Analysis:
        """Waits for a job until the deadline; where its progress is told, until its end. The job doesn't end with the call."""
        order = Order(about.id, key, consents=consents_of(start))
        receipt = await self._desk.order(caller, start.domain, content, parameters_of(start), order)
        about.analysis_id = receipt.job.id
        if on_progress is not None:
            return await self._desk.follow(caller, receipt.job, on_progress)
        job, analysis = await self._desk.wait(caller, receipt.job, self._desk.longest_wait_s(timeout_s))
        return analysis or await self._desk.outcome(caller, job)


def _allowed_s(context: Context) -> float | None:
    """What is left until the call's deadline, less a moment in which the caller can still be told; None where it has none."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else max(remaining_s - WORD_S, remaining_s / 2, 0.001)


def _filter(request: pb.ListAnalysesRequest) -> AnalysisFilter:
    return AnalysisFilter(
        domain=request.domain or None,
        model=request.model or None,
        label=request.label or None,
        abstained=request.abstained if request.HasField("abstained") else None,
        created_after=_time(request.created_after) if request.HasField("created_after") else None,
        created_before=_time(request.created_before) if request.HasField("created_before") else None,
    )


def _time(stamp: Timestamp) -> datetime:
    time: datetime = stamp.ToDatetime(UTC)
    return time

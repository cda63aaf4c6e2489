"""The calls of hedgerow.v1.AnalysisService: each converts a message, calls the service, and converts what comes back."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.grpc.calls import DEFAULT_PAGE, Calls, Context, send
from gateway.grpc.messages import analysis_to_proto, domain_to_proto, model_to_proto, node_to_proto
from gateway.grpc.progress import Telling
from gateway.grpc.stream import connect
from gateway.service.analyses import HEATMAP, KEY_FRAME_PICTURE, MASK, OVERLAY, AnalysisService, Policy
from gateway.service.clips import OnProgress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller, KeyService
from gateway.service.parameters import from_struct
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
_Upload = pb.AnalyzeUploadRequest | pb.AnalyzeWithProgressRequest


class AnalysisServicer(analysis_pb2_grpc.AnalysisServiceServicer):
    """The gRPC face of AnalysisService and of StreamService."""

    def __init__(self, service: AnalysisService, streams: StreamService, keys: KeyService) -> None:
        self._service = service
        self._streams = streams
        self._answer = Calls(keys).answer

    async def Analyze(self, request: pb.AnalyzeRequest, context: Context) -> pb.AnalyzeResponse:
        async def work(caller: Caller, about: RequestContext) -> pb.AnalyzeResponse:
            parameters = _parameters(request)
            analysis = await self._analyse(caller, about, context, request.domain, request.content, parameters)
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
            picture = await self._service.artifact(caller, request.id, name, key_frame=request.key_frame or 1)
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
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "start":
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "the first message of an upload is 'start'")
        start = first.start
        self._service.admit(caller, start.domain)
        content = await _collect(requests, start.size_bytes, self._service.policy)
        return await self._analyse(caller, about, context, start.domain, content, _parameters(start), on_progress)

    async def _analyse(
        self, caller: Caller, about: RequestContext, context: Context, domain: str, content: bytes,
        parameters: dict[str, Any], on_progress: OnProgress | None = None,
    ) -> Analysis:
        remaining = context.time_remaining()
        analysis = await self._service.analyse(
            caller, domain, content, parameters, request_id=about.id,
            timeout_s=None if remaining is None else max(remaining, 0.001), on_progress=on_progress,
        )
        about.analysis_id = analysis.id
        return analysis


async def _collect(requests: AsyncIterator[_Upload], declared: int, policy: Policy) -> bytes:
    policy.check_size(declared)
    chunks, size = [], 0
    async for message in requests:
        if message.WhichOneof("message") != "chunk":
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "after 'start' an upload holds chunks only")
        size += len(message.chunk)
        policy.check_size(size)
        chunks.append(message.chunk)
    if declared and size != declared:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"{declared} bytes were announced, {size} came",
                           parameter="size_bytes")
    return b"".join(chunks)


def _parameters(request: pb.AnalyzeRequest | pb.UploadStart) -> dict[str, Any]:
    return from_struct(json_format.MessageToDict(request.parameters))


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

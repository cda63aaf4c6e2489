"""The calls of inference.GRPCInferenceService, the Open Inference Protocol over gRPC: each converts, calls, converts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from gateway.grpc.calls import Calls, Context, send
from gateway.grpc.tensors import from_proto, to_proto, value_of
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.repository import Repository
from gateway.service.inference.service import Asked, InferenceService
from gateway.service.inference.shared_memory import Region
from gateway.service.keys import Caller
from gateway.service.leaving.consent import check_consents
from gateway.service.requests import RequestContext
from protos.inference import grpc_service_pb2 as pb
from protos.inference import grpc_service_pb2_grpc

CONSENT = "hedgerow-consent"
"""Metadata, as the header of REST."""
FINAL = "triton_final_response"
ASKS_FOR_FINAL = "triton_enable_empty_final_response"
AT_ONCE = 8
"""Inferences of one stream that run at a time; answers keep the order of the requests."""
NO_CUDA = "there is no CUDA device here, so none of its memory can be shared"
M = TypeVar("M", bound=Message)


class InferenceServicer(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """The gRPC face of InferenceService and Repository."""

    def __init__(self, service: InferenceService, repository: Repository, calls: Calls) -> None:
        self._service = service
        self._repository = repository
        self._answer = calls.answer

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: ARG002 - gRPC's signature
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: ARG002 - gRPC's signature
        return pb.ServerReadyResponse(ready=self._service.ready)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:  # noqa: ARG002 - gRPC's signature
        return await self._told("ServerMetadata", context, lambda _: pb.ServerMetadataResponse(**self._service.server()))

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        return await self._told("ModelReady", context, lambda _: pb.ModelReadyResponse(
            ready=self._service.model_ready(request.name, request.version)))

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        return await self._told("ModelMetadata", context, lambda _: ParseDict(
            self._service.metadata(request.name, request.version), pb.ModelMetadataResponse()))

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:
        return await self._told("ModelConfig", context, lambda _: ParseDict(
            {"config": self._service.config(request.name, request.version)}, pb.ModelConfigResponse()))

    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, context: Context) -> pb.ModelStatisticsResponse:
        return await self._told("ModelStatistics", context, lambda caller: ParseDict(
            self._service.statistics(caller, request.name, request.version), pb.ModelStatisticsResponse()))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        async def work(caller: Caller, about: RequestContext) -> pb.ModelInferResponse:
            remaining = context.time_remaining()
            timeout_s = None if remaining is None else max(remaining, 0.001)
            response = await self._service.infer(caller, from_proto(request), Asked(about.id, timeout_s, _consents(context)))
            return to_proto(response)

        return await self._answer("ModelInfer", context, work)

    async def ModelStreamInfer(self, requests: AsyncIterator[pb.ModelInferRequest], context: Context) -> None:
        async def work(caller: Caller, about: RequestContext) -> None:
            asked = Asked(about.id, None, _consents(context))
            running: asyncio.Queue[asyncio.Task[pb.ModelStreamInferResponse] | None] = asyncio.Queue(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                async def read() -> None:
                    async for request in requests:
                        await running.put(group.create_task(self._one(caller, about, request, asked)))
                    await running.put(None)

                group.create_task(read())
                while (task := await running.get()) is not None:
                    await send(context, await task)

        await self._answer("ModelStreamInfer", context, work)

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Context) -> pb.RepositoryIndexResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.RepositoryIndexResponse:
            rows = await self._repository.index(caller, ready=request.ready)
            return pb.RepositoryIndexResponse(models=[pb.RepositoryIndexResponse.ModelIndex(**row) for row in rows])

        return await self._answer("RepositoryIndex", context, work)

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Context
    ) -> pb.RepositoryModelLoadResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.RepositoryModelLoadResponse:
            parameters = {name: value_of(value) for name, value in request.parameters.items()}
            await self._repository.load(caller, request.model_name, parameters)
            return pb.RepositoryModelLoadResponse()

        return await self._answer("RepositoryModelLoad", context, work)

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Context
    ) -> pb.RepositoryModelUnloadResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.RepositoryModelUnloadResponse:
            await self._repository.unload(caller, request.model_name)
            return pb.RepositoryModelUnloadResponse()

        return await self._answer("RepositoryModelUnload", context, work)

    async def SystemSharedMemoryStatus(
        self, request: pb.SystemSharedMemoryStatusRequest, context: Context
    ) -> pb.SystemSharedMemoryStatusResponse:
        return await self._told("SystemSharedMemoryStatus", context, lambda caller: ParseDict({"regions": {
            region.name: region.document for region in self._service.memory.status(caller.tenant, request.name)
        }}, pb.SystemSharedMemoryStatusResponse()))

    async def SystemSharedMemoryRegister(
        self, request: pb.SystemSharedMemoryRegisterRequest, context: Context
    ) -> pb.SystemSharedMemoryRegisterResponse:
        def register(caller: Caller) -> pb.SystemSharedMemoryRegisterResponse:
            region = Region(request.name, request.key, request.offset, request.byte_size)
            self._service.memory.register(caller.tenant, region)
            return pb.SystemSharedMemoryRegisterResponse()

        return await self._told("SystemSharedMemoryRegister", context, register)

    async def SystemSharedMemoryUnregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, context: Context
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        def unregister(caller: Caller) -> pb.SystemSharedMemoryUnregisterResponse:
            self._service.memory.unregister(caller.tenant, request.name)
            return pb.SystemSharedMemoryUnregisterResponse()

        return await self._told("SystemSharedMemoryUnregister", context, unregister)

    async def CudaSharedMemoryStatus(
        self, request: pb.CudaSharedMemoryStatusRequest, context: Context
    ) -> pb.CudaSharedMemoryStatusResponse:
        def status(_: Caller) -> pb.CudaSharedMemoryStatusResponse:
            if request.name:
                raise ServiceError(ErrorCode.NOT_FOUND, "no region of that name is registered", parameter="name")
            return pb.CudaSharedMemoryStatusResponse()

        return await self._told("CudaSharedMemoryStatus", context, status)

    async def CudaSharedMemoryRegister(
        self, request: pb.CudaSharedMemoryRegisterRequest, context: Context  # noqa: ARG002 - gRPC's signature
    ) -> pb.CudaSharedMemoryRegisterResponse:
        def refuse(_: Caller) -> pb.CudaSharedMemoryRegisterResponse:
            raise ServiceError(ErrorCode.METHOD_NOT_ALLOWED, NO_CUDA)

        return await self._told("CudaSharedMemoryRegister", context, refuse)

    async def CudaSharedMemoryUnregister(
        self, request: pb.CudaSharedMemoryUnregisterRequest, context: Context  # noqa: ARG002 - gRPC's signature
    ) -> pb.CudaSharedMemoryUnregisterResponse:
        return await self._told("CudaSharedMemoryUnregister", context, lambda _: pb.CudaSharedMemoryUnregisterResponse())

    async def TraceSetting(self, request: pb.TraceSettingRequest, context: Context) -> pb.TraceSettingResponse:
        def settings(caller: Caller) -> pb.TraceSettingResponse:
            wanted = {name: list(setting.value) or None for name, setting in request.settings.items()}
            name = request.model_name
            now = self._service.change_trace_settings(caller, name, wanted) if wanted else self._service.trace_settings(name)
            return ParseDict({"settings": {key: {"value": value} for key, value in now.items()}}, pb.TraceSettingResponse())

        return await self._told("TraceSetting", context, settings)

    async def LogSettings(self, request: pb.LogSettingsRequest, context: Context) -> pb.LogSettingsResponse:
        def settings(caller: Caller) -> pb.LogSettingsResponse:
            wanted = {name: value_of(setting) for name, setting in request.settings.items()}
            now = self._service.change_log_settings(caller, wanted) if wanted else self._service.log_settings()
            return _log_settings(now)

        return await self._told("LogSettings", context, settings)

    async def _one(
        self, caller: Caller, about: RequestContext, request: pb.ModelInferRequest, asked: Asked
    ) -> pb.ModelStreamInferResponse:
        """One answer of a stream. What goes wrong is told in it, with the request's id."""
        try:
            answer = pb.ModelStreamInferResponse(infer_response=to_proto(await self._service.infer(caller, from_proto(request), asked)))
        except Exception as error:
            said = about.failed(error)
            about.error = None
            told = f"{said.parameter}: {said}" if said.parameter else str(said)
            failed = pb.ModelInferResponse(model_name=request.model_name, model_version=request.model_version, id=request.id)
            answer = pb.ModelStreamInferResponse(error_message=f"{told} (request {about.id})", infer_response=failed)
        if request.parameters[ASKS_FOR_FINAL].bool_param:
            answer.infer_response.parameters[FINAL].bool_param = True
        return answer

    async def _told(self, method: str, context: Context, answer: Callable[[Caller], M]) -> M:
        async def work(caller: Caller, _: RequestContext) -> M:
            return answer(caller)

        told: Awaitable[M] = self._answer(method, context, work)
        return await told


def _log_settings(settings: Mapping[str, Any]) -> pb.LogSettingsResponse:
    message = pb.LogSettingsResponse()
    for name, value in settings.items():
        kind = "bool_param" if isinstance(value, bool) else "uint32_param" if isinstance(value, int) else "string_param"
        setattr(message.settings[name], kind, value)
    return message


def _consents(context: Context) -> tuple[str, ...]:
    given = [str(value) for name, value in context.invocation_metadata() or () if name == CONSENT]
    words = (word.strip().lower() for word in ",".join(given).split(","))
    return check_consents([word for word in words if word], CONSENT)

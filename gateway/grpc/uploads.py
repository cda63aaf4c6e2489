"""The calls of hedgerow.v1.UploadService: each converts a message, calls the service, and converts what comes back."""

from collections.abc import AsyncIterator

from gateway.grpc.calls import Calls, Context
from gateway.grpc.upload import consents_of, first_of, key_of, parameters_of
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller
from gateway.service.requests import RequestContext
from gateway.service.uploads.intake import Piece
from gateway.service.uploads.records import Upload
from gateway.service.uploads.service import NewUpload, UploadService
from protos.hedgerow.v1 import uploads_pb2 as pb
from protos.hedgerow.v1 import uploads_pb2_grpc


class UploadServicer(uploads_pb2_grpc.UploadServiceServicer):
    """The gRPC face of UploadService."""

    def __init__(self, uploads: UploadService, calls: Calls) -> None:
        self._uploads = uploads
        self._answer = calls.answer

    async def CreateUpload(self, request: pb.CreateUploadRequest, context: Context) -> pb.CreateUploadResponse:
        async def work(caller: Caller, about: RequestContext) -> pb.CreateUploadResponse:
            wanted = NewUpload(
                request.domain, request.size_bytes, about.id, parameters_of(request), key_of(request), request.callback_url,
                consents_of(request),
            )
            return pb.CreateUploadResponse(upload=upload_to_proto(await self._uploads.create(caller, wanted)))

        return await self._answer("CreateUpload", context, work)

    async def AppendUpload(
        self, requests: AsyncIterator[pb.AppendUploadRequest], context: Context
    ) -> pb.AppendUploadResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.AppendUploadResponse:
            start: pb.AppendStart = await first_of(requests)
            piece = Piece(start.offset, _chunks(requests))
            return pb.AppendUploadResponse(upload=upload_to_proto(await self._uploads.append(caller, start.id, piece)))

        return await self._answer("AppendUpload", context, work)

    async def GetUpload(self, request: pb.GetUploadRequest, context: Context) -> pb.GetUploadResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.GetUploadResponse:
            return pb.GetUploadResponse(upload=upload_to_proto(await self._uploads.get(caller, request.id)))

        return await self._answer("GetUpload", context, work)

    async def DeleteUpload(self, request: pb.DeleteUploadRequest, context: Context) -> pb.DeleteUploadResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.DeleteUploadResponse:
            await self._uploads.end(caller, request.id)
            return pb.DeleteUploadResponse()

        return await self._answer("DeleteUpload", context, work)


def upload_to_proto(upload: Upload) -> pb.Upload:
    """An upload."""
    message = pb.Upload(
        id=upload.id, domain=upload.domain, size_bytes=upload.size_bytes, offset=upload.offset, job_id=upload.job_id or ""
    )
    message.expires_at.FromDatetime(upload.expires_at)
    return message


async def _chunks(requests: AsyncIterator[pb.AppendUploadRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("message") != "chunk":
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "after 'start' an upload holds chunks only")
        if request.chunk:
            yield request.chunk

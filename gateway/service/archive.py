"""Answers and their pictures into the stores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.ports import AnalysisStore, ImageStore
from gateway.service.recorder import Recorder
from gateway.service.records import Analysis, new_id

INPUT = "input"
FULL_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that isn't stored yet, and the pictures that it came with."""

    result: Mapping[str, Any]
    media: Mapping[str, Any]
    parameters: Mapping[str, Any]
    provenance: Mapping[str, Any]
    pictures: Mapping[str, bytes]

    def record(self, tenant: str, domain: str, request_id: str, *, analysis_id: str = "") -> Analysis:
        """As it is stored, with a new id unless it has one."""
        return Analysis(
            id=analysis_id or new_id(),
            tenant=tenant,
            domain=domain,
            created_at=datetime.now(UTC),
            request_id=request_id,
            model=self.provenance["model"]["name"],
            label=self.result.get("label", "segmentation"),
            abstained=self.result["abstained"],
            parameters=self.parameters,
            media=self.media,
            result=self.result,
            provenance=self.provenance,
        )


class Archive:
    """Stores an answer before it is sent: pictures first, then the row. Use from one event loop."""

    def __init__(self, store: AnalysisStore, images: ImageStore, *, keep_images: bool) -> None:
        self._recorder = Recorder(store, images)
        self.keep_images = keep_images

    async def keep(self, analysis: Analysis, pictures: Mapping[str, bytes], upload: bytes | None) -> Analysis:
        """When it returns both are stored; gives the record with the names of the pictures that are kept. `upload`: None
        for a stream, which isn't kept. Where the caller leaves before the row is written, neither is kept.
        """
        kept: Mapping[str, bytes] = {}
        if self.keep_images:
            analysis = replace(analysis, images=tuple(pictures))
            kept = pictures if upload is None else {INPUT: upload, **pictures}
        try:
            await self._recorder.add(analysis, kept)
        except OSError as error:
            raise ServiceError(
                ErrorCode.STORAGE_FULL, f"the answer could not be stored ({error.strerror})", retry_after_s=FULL_RETRY_S
            ) from error
        return analysis

    async def close(self) -> None:
        """Waits for what is being stored."""
        await self._recorder.close()

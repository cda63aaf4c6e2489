"""The four clients of tritonclient behind one way to call them: HTTP and gRPC, each blocking and for asyncio."""

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tritonclient", reason="needs the environment of requirements/triton.lock")

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from tests.triton.conftest import ROOT, RunningGateway

KINDS = ("http", "http.aio", "grpc", "grpc.aio")
MODULES = {
    "http": tritonclient.http, "http.aio": tritonclient.http.aio, "grpc": tritonclient.grpc, "grpc.aio": tritonclient.grpc.aio,
}
BREAST, LUNG, FIELD, DIGITS = "breast_ultrasound", "lung_ultrasound", "crop_peanut", "svhn_digits"
SCAN = (ROOT / "samples" / "breast_scan.jpg").read_bytes()
DOCUMENTS = {
    "get_server_metadata", "get_model_metadata", "get_model_config", "get_model_repository_index", "get_inference_statistics",
    "update_trace_settings", "get_trace_settings", "update_log_settings", "get_log_settings",
    "get_system_shared_memory_status", "get_cuda_shared_memory_status",
}
"""Calls that give documents, which over gRPC are messages unless JSON is asked for."""


class Client:
    """`client("is_server_live")` calls that method, with the key, and waits for what it gives."""

    def __init__(self, kind: str, gateway: RunningGateway, key: str | None = None) -> None:
        self.kind, self.module, self.gateway = kind, MODULES[kind], gateway
        self.over_http, self.waits = kind.startswith("http"), kind.endswith("aio")
        self.key = gateway.key if key is None else key
        self._loop = asyncio.new_event_loop()
        self.client = self.run(self._opened())

    @property
    def headers(self) -> dict[str, str]:
        """Anew for each call: the HTTP client writes into what it is given."""
        return {"authorization": f"Bearer {self.key}"}

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What the method gives: documents as dicts and lists."""
        if method in DOCUMENTS and not self.over_http:
            named["as_json"] = True
        given = getattr(self.client, method)(*arguments, headers=self.headers, **named)
        return self.run(given) if self.waits else given

    def run(self, work: Any) -> Any:
        """What a coroutine gives."""
        return self._loop.run_until_complete(work)

    def input(self, name: str, array: "np.ndarray[Any, Any]", datatype: str, **how: Any) -> Any:
        """An input tensor. `how`: HTTP only, such as binary_data=False."""
        tensor = self.module.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, **(how if self.over_http else {}))
        return tensor

    def picture(self, content: bytes = SCAN) -> Any:
        """The input of a whole model."""
        return self.input("image", np.array([content], dtype=np.object_), "BYTES")

    def pixels(self, array: "np.ndarray[Any, Any] | None" = None, **how: Any) -> Any:
        """The input of a network."""
        return self.input("pixels", noise() if array is None else array, "UINT8", **how)

    def output(self, name: str, **how: Any) -> Any:
        """An output that is wanted."""
        return self.module.InferRequestedOutput(name, **how)

    def refused(self, method: str, *arguments: Any, **named: Any) -> InferenceServerException:
        """What is said of a call that is refused, in words that the server chose."""
        with pytest.raises(InferenceServerException) as raised:
            self(method, *arguments, **named)
        assert "an exception occurred in the client" not in str(raised.value)
        return raised.value

    def close(self) -> None:
        """Ends the connection."""
        closing = self.client.close()
        if self.waits:
            self.run(closing)
        self._loop.close()

    async def _opened(self) -> Any:
        return self.module.InferenceServerClient(self.gateway.http if self.over_http else self.gateway.grpc)


def noise(*shape: int) -> "np.ndarray[Any, Any]":
    """Pixels, always the same."""
    return np.random.default_rng(1).integers(0, 255, shape or (1, 224, 224, 3), np.uint8)


def status(error: InferenceServerException) -> str:
    """The status that was told, HTTP's or gRPC's."""
    return str(error.status()).removeprefix("StatusCode.")

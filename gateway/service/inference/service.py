"""The Open Inference Protocol over the services that there are: a picture goes the way of an analysis, tensors go to the
same devices. Documents are dicts with the protocol's field names, which both transports send.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from edge_runtime.inference import Tensor
from edge_runtime.wire import TensorSpec
from gateway.service.analyses import MASK, AnalysisService
from gateway.service.inference import models
from gateway.service.inference.answers import outputs_of
from gateway.service.inference.arrays import BYTES, Array, from_base64, invalid, pack, top, unpack
from gateway.service.inference.models import DATATYPES, IMAGE, Model
from gateway.service.inference.requests import (
    BASE64,
    CONTENT_TYPE,
    InferRequest,
    InferResponse,
    Output,
    Wanted,
    check_inputs,
    check_outputs,
)
from gateway.service.inference.settings import TRACE, check_unchanged, log_settings
from gateway.service.inference.shared_memory import SharedMemory
from gateway.service.inference.statistics import Statistics
from gateway.service.jobs.orders import JobDesk
from gateway.service.keys import ADMIN, NODES, READ, Caller
from gateway.service.records import Analysis
from gateway.service.trials import Rollouts

EXTENSIONS = (
    "binary_tensor_data", "classification", "model_configuration", "model_repository", "parameters",
    "schedule_policy", "statistics", "trace", "logging",
)
SHARED_MEMORY = "system_shared_memory"
_NUMPY = {theirs: ours for ours, theirs in DATATYPES.items()}


@dataclass(frozen=True, slots=True)
class _Made:
    version: str
    outputs: Sequence[Array]
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the transport knows of a request. `timeout_s`: the deadline that it names."""

    request_id: str
    timeout_s: float | None = None
    consents: tuple[str, ...] = ()


class InferenceService:
    """Methods may raise ServiceError, DomainError or EdgeError. Use from one event loop."""

    def __init__(
        self, analyses: AnalysisService, desk: JobDesk, rollouts: Rollouts, memory: SharedMemory, *, log_level: str
    ) -> None:
        self.policy = analyses.policy
        self.memory = memory
        self._analyses = analyses
        self._desk = desk
        self._rollouts = rollouts
        self._statistics = Statistics()
        self._log = log_settings(log_level)

    @property
    def ready(self) -> bool:
        """Whether inferences are taken."""
        return self._analyses.ready

    def server(self) -> dict[str, Any]:
        """Name, version and extensions."""
        extensions = [*EXTENSIONS, SHARED_MEMORY] if self.memory.on else list(EXTENSIONS)
        return {"name": "hedgerow", "version": version("hedgerow"), "extensions": extensions}

    def model_ready(self, name: str, wanted: str) -> bool:
        """Whether a model takes inferences; one that isn't known doesn't."""
        return self.ready and models.find(self._analyses.models(), name, wanted) is not None

    def metadata(self, name: str, wanted: str) -> dict[str, Any]:
        """Versions, inputs and outputs. Raises NOT_FOUND."""
        return models.metadata(self._model(name, wanted))

    def config(self, name: str, wanted: str) -> dict[str, Any]:
        """The configuration. Raises NOT_FOUND."""
        return models.config(self._model(name, wanted))

    def statistics(self, caller: Caller, name: str, wanted: str) -> dict[str, Any]:
        """Of one model, or of all where the name is empty: of the caller's tenant's inferences, or everybody's with the scope
        `nodes` or `admin`. Raises NOT_FOUND.
        """
        chosen = [self._model(name, wanted)] if name else models.served(self._analyses.models())
        whose = None if caller.scopes & {NODES, ADMIN} else caller.tenant
        return {"model_stats": self._statistics.documents([(one.name, one.version) for one in chosen], whose)}

    def trace_settings(self, name: str) -> Mapping[str, list[str]]:
        """Of a model, or of all. Raises NOT_FOUND."""
        if name:
            self._model(name, "")
        return TRACE

    def change_trace_settings(self, caller: Caller, name: str, wanted: Mapping[str, Any]) -> Mapping[str, list[str]]:
        """Raises METHOD_NOT_ALLOWED where one is to become another."""
        caller.require(ADMIN)
        check_unchanged(wanted, self.trace_settings(name), "trace")
        return TRACE

    def log_settings(self) -> Mapping[str, Any]:
        """The log's."""
        return self._log

    def change_log_settings(self, caller: Caller, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises METHOD_NOT_ALLOWED where one is to become another."""
        caller.require(ADMIN)
        check_unchanged(wanted, self._log, "log")
        return self._log

    def raw_request(self, name: str, wanted: str, content: bytes | memoryview) -> InferRequest:
        """What is meant by bytes alone: the model's one input, one element where it is BYTES. Raises NOT_FOUND."""
        signature = self._model(name, wanted).inputs[0]
        packed = pack([content]) if signature.datatype == BYTES else content
        return InferRequest(name, wanted, inputs=[Array(signature.name, signature.datatype, signature.shape, packed)])

    async def infer(self, caller: Caller, request: InferRequest, asked: Asked) -> InferResponse:
        """One inference. Raises INVALID_ARGUMENT where inputs or outputs aren't the model's, NOT_FOUND."""
        model = self._model(request.model, request.version)
        caller.require_analyze(model.info.domain)
        began = time.perf_counter()
        try:
            wanted = check_outputs(model, request.outputs)
            inputs = check_inputs(model, [self._content(caller, tensor) for tensor in request.inputs])
            limits = [limit for limit in (asked.timeout_s, request.timeout_s) if limit is not None]
            asked = replace(asked, timeout_s=self._analyses.timeout(min(limits, default=None)))
            run = self._network if model.network else self._whole
            made = await run(caller, model, inputs, request, asked)
            found = {array.name: array for array in made.outputs}
            outputs = [self._placed(caller, model, found[one.name], one) for one in wanted]
        except Exception:
            self._statistics.failed(caller.tenant, model.name, model.version, time.perf_counter() - began)
            raise
        took_s = time.perf_counter() - began
        self._statistics.succeeded(caller.tenant, model.name, made.version, took_s, made.timings_ms)
        return InferResponse(model.name, made.version, request.id, outputs)

    async def _network(
        self, caller: Caller, model: Model, inputs: Sequence[Array], request: InferRequest, asked: Asked
    ) -> _Made:
        if unknown := sorted(request.domain_parameters):
            raise invalid(f"{model.name} takes no parameters", unknown[0][:64])
        assert asked.timeout_s is not None
        answer = await self._rollouts.infer(
            model.info.name, [_tensor(array) for array in inputs], timeout_s=asked.timeout_s, tenant=caller.tenant
        )
        timings, outputs = answer.reply.timings, [_array(tensor) for tensor in answer.tensors]
        milliseconds = {name: getattr(timings, name) * 1000 for name in timings.__struct_fields__}
        return _Made(answer.reply.model["version"], outputs, milliseconds)

    async def _whole(
        self, caller: Caller, model: Model, inputs: Sequence[Array], request: InferRequest, asked: Asked
    ) -> _Made:
        parameters = {**model.info.selector, **request.domain_parameters}
        for name, value in model.info.selector.items():
            if parameters[name] != value:
                raise invalid(f"the model's name chooses the {name}, which is {value}", name)
        analysis = await self._desk.analyse(
            caller, model.info.domain, bytes(unpack(inputs[0])[0]), parameters,
            request_id=asked.request_id, timeout_s=asked.timeout_s, consents=asked.consents,
        )
        mask = b""
        if MASK in analysis.images and (not request.outputs or any(one.name == "mask" for one in request.outputs)):
            mask = await self._analyses.artifact(_reader(caller), analysis.id, MASK)
        return _Made(_version(analysis), outputs_of(model, analysis, mask), analysis.provenance["timings_ms"])

    def _content(self, caller: Caller, tensor: Array) -> Array:
        """The tensor with its bytes, wherever it lies."""
        place = self.memory.place(caller.tenant, tensor.name, tensor.parameters)
        if place is not None:
            tensor = replace(tensor, content=self.memory.read(place))
        if tensor.name == IMAGE and tensor.parameters.get(CONTENT_TYPE) == BASE64:
            tensor = replace(tensor, content=pack([from_base64(tensor.name, text) for text in unpack(tensor)]))
        return tensor

    def _placed(self, caller: Caller, model: Model, array: Array, wanted: Wanted) -> Output:
        if count := wanted.classification:
            array = top(array, count, model.info.labels)
        place = self.memory.place(caller.tenant, array.name, wanted.parameters)
        if place is not None:
            self.memory.write(place, array.name, array.content)
        return Output(array, wanted, place)

    def _model(self, name: str, wanted: str) -> Model:
        return models.require(self._analyses.models(), name, wanted)


def _tensor(array: Array) -> Tensor:
    return Tensor(TensorSpec(array.name, _NUMPY[array.datatype], array.shape), array.content)


def _array(tensor: Tensor) -> Array:
    return Array(tensor.spec.name, DATATYPES[tensor.spec.datatype], tensor.spec.shape, tensor.content)


def _version(analysis: Analysis) -> str:
    return str(analysis.provenance["model"]["version"])


def _reader(caller: Caller) -> Caller:
    """Whoever may have something analysed may have the answer, which the mask is a part of."""
    return replace(caller, scopes=caller.scopes | {READ})

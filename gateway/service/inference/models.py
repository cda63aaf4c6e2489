"""The models of the protocol, made of the packages that are served.

A package NAME is two models. NAME is the whole: a picture in, the answer out that the typed API gives. NAME.network is its
network alone: pixels in, its output tensors out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.wire import ModelInfo
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import BYTES, Signature

NETWORK = ".network"
IMAGE = "image"
THE_ONE = "1"
"""Triton's name of a model's first version, and in most places of its only one."""
DATATYPES: Mapping[str, str] = {"uint8": "UINT8", "float32": "FP32"}
"""The protocol's names by numpy's."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that takes inferences. `network`: whether it is the network alone."""

    name: str
    info: ModelInfo
    network: bool
    inputs: Sequence[Signature]
    outputs: Sequence[Signature]

    @property
    def version(self) -> str:
        """The version in service: the only one that is served."""
        return self.info.version


def package_of(name: str) -> str:
    """The package that a model is made of."""
    return name.removesuffix(NETWORK)


def names_of(package: str) -> tuple[str, str]:
    """The models that a package is."""
    return package, package + NETWORK


def served(packages: Iterable[ModelInfo]) -> list[Model]:
    """Every model that takes inferences."""
    return [model for info in packages if info.state == "ready" for model in (_whole(info), _network(info))]


def find(packages: Iterable[ModelInfo], name: str, version: str) -> Model | None:
    """The model of that name, where that version is in service. The empty one always is, and 2 or 2.1 stand for 2.1.3; so is 1,
    which clients send who know of one version alone.
    """
    for info in packages:
        if info.state == "ready" and info.name == package_of(name):
            if version not in {"", THE_ONE} and not f"{info.version}.".startswith(f"{version}."):
                return None
            return _network(info) if name.endswith(NETWORK) else _whole(info)
    return None


def require(packages: Iterable[ModelInfo], name: str, version: str) -> Model:
    """As `find`. Raises NOT_FOUND where there is none."""
    listed = list(packages)
    model = find(listed, name, version)
    if model is not None:
        return model
    known = find(listed, name, "")
    why = f"{known.name} is served in the version {known.version} alone" if known else "no model of that name is served"
    raise ServiceError(ErrorCode.NOT_FOUND, why, parameter="model_version" if known else "model_name")


def metadata(model: Model) -> dict[str, Any]:
    """The document of a model's metadata."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": _platform(model),
        "inputs": [_described(signature) for signature in model.inputs],
        "outputs": [_described(signature) for signature in model.outputs],
    }


def config(model: Model) -> dict[str, Any]:
    """The document of a model's configuration, by the field names of model_config.proto."""
    about = {"title": model.info.title, "task": model.info.task, "domain": model.info.domain,
             "variant": model.info.variant, "sha256": model.info.sha256, "intended_use": model.info.intended_use}
    return {
        "name": model.name,
        "platform": _platform(model),
        "backend": "hedgerow",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 0,
        "input": [_configured(signature) for signature in model.inputs],
        "output": [_configured(signature) for signature in model.outputs],
        "model_transaction_policy": {"decoupled": False},
        "parameters": {name: {"string_value": value} for name, value in about.items()},
    }


def _platform(model: Model) -> str:
    return "tensorflow_tflite" if model.network else "hedgerow_flow"


def _described(signature: Signature) -> dict[str, Any]:
    return {"name": signature.name, "datatype": signature.datatype, "shape": list(signature.shape)}


def _configured(signature: Signature) -> dict[str, Any]:
    datatype = "STRING" if signature.datatype == BYTES else signature.datatype
    return {"name": signature.name, "data_type": f"TYPE_{datatype}", "dims": list(signature.shape)}


def _network(info: ModelInfo) -> Model:
    inputs, outputs = (
        [Signature(spec.name, DATATYPES[spec.datatype], spec.shape) for spec in specs] for specs in (info.inputs, info.outputs)
    )
    return Model(info.name + NETWORK, info, True, inputs, outputs)


def _whole(info: ModelInfo) -> Model:
    count = len(info.labels)
    own = {
        "classification": [Signature("label", BYTES, (1,)), Signature("probabilities", "FP32", (count,))],
        "segmentation": [Signature("area_fractions", "FP32", (count,)), Signature("mask", BYTES, (1,))],
    }[info.task]
    shared = [
        Signature("labels", BYTES, (count,)), Signature("abstained", "BOOL", (1,)), Signature("abstention", BYTES, (1,)),
        Signature("result", BYTES, (1,)), Signature("provenance", BYTES, (1,)), Signature("analysis_id", BYTES, (1,)),
    ]
    return Model(info.name, info, False, [Signature(IMAGE, BYTES, (1,))], [*own, *shared])

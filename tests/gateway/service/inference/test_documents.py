"""What is told of models, settings and counts."""

import pytest
from google.protobuf.json_format import ParseDict

from edge_runtime.wire import ModelInfo, TensorSpec
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference import models
from gateway.service.inference.settings import TRACE, check_unchanged, log_settings
from gateway.service.inference.statistics import Statistics
from protos.inference import grpc_service_pb2 as pb

SCANS = ModelInfo(
    "scans", "ready", version="2.1.3", domain="pathology", task="classification", labels=["a", "b"],
    inputs=[TensorSpec("pixels", "uint8", (1, 8, 8, 3))], outputs=[TensorSpec("logits", "float32", (1, 2))],
)
FIELDS = ModelInfo("fields", "ready", version="2.0", domain="crop_weed", task="segmentation", labels=["soil", "crop", "weed"])
BROKEN = ModelInfo("broken", "refused", reason="its file was changed")
PACKAGES = [SCANS, FIELDS, BROKEN]


@pytest.mark.parametrize("version", ["", "1", "2", "2.1", "2.1.3"])
def test_a_version_may_be_named_by_its_beginning_or_as_the_only_one(version: str) -> None:
    found = models.find(PACKAGES, "scans", version)
    assert found is not None
    assert found.version == "2.1.3"


@pytest.mark.parametrize(("name", "version"), [
    ("scans", "3"), ("scans", "2.1.30"), ("scans", "2.1.3.4"), ("scans", "1.0"), ("scans", "."), ("broken", ""), ("none", ""), ("scans.network.network", ""),
])
def test_what_isnt_served_is_not_found(name: str, version: str) -> None:
    assert models.find(PACKAGES, name, version) is None
    with pytest.raises(ServiceError) as refused:
        models.require(PACKAGES, name, version)
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_each_package_that_is_served_is_two_models() -> None:
    assert [model.name for model in models.served(PACKAGES)] == ["scans", "scans.network", "fields", "fields.network"]


@pytest.mark.parametrize("name", ["scans", "scans.network", "fields", "fields.network"])
def test_documents_are_the_protocols_messages(name: str) -> None:
    model = models.require(PACKAGES, name, "")
    metadata = ParseDict(models.metadata(model), pb.ModelMetadataResponse())
    config = ParseDict({"config": models.config(model)}, pb.ModelConfigResponse()).config
    assert metadata.name == config.name == name
    assert [tensor.name for tensor in metadata.outputs] == [tensor.name for tensor in config.output]
    assert [list(tensor.shape) for tensor in metadata.inputs] == [list(tensor.dims) for tensor in config.input]


def test_counts_are_by_tenant_and_together() -> None:
    statistics = Statistics()
    statistics.succeeded("clinic", "scans", "1", 0.5, {"queue": 1.0, "decode": 2.0, "preprocess": 3.0, "infer": 4.0})
    statistics.succeeded("farm", "scans", "1", 0.25, {"infer": 1.0})
    statistics.failed("farm", "scans", "1", 0.125)
    (mine,), (all_of_them,) = (statistics.documents([("scans", "1")], tenant) for tenant in ("clinic", None))
    ParseDict(all_of_them, pb.ModelStatistics())
    assert (mine["inference_count"], all_of_them["inference_count"]) == (1, 2)
    assert mine["inference_stats"]["compute_input"] == {"count": 1, "ns": 5_000_000}
    assert all_of_them["inference_stats"]["compute_infer"] == {"count": 2, "ns": 5_000_000}
    assert all_of_them["inference_stats"]["fail"] == {"count": 1, "ns": 125_000_000}
    assert mine["last_inference"] > 1_600_000_000_000
    (none,) = statistics.documents([("scans", "2")], None)
    assert (none["inference_count"], none["batch_stats"]) == (0, [])


def test_settings_are_told_and_a_change_is_refused() -> None:
    assert log_settings("warning")["log_info"] is False
    assert log_settings("debug")["log_verbose_level"] == 1
    check_unchanged({"trace_level": ["OFF"], "trace_rate": None}, TRACE, "trace")
    for wanted, code in (({"trace_level": ["TIMESTAMPS"]}, ErrorCode.METHOD_NOT_ALLOWED), ({"colour": 1}, ErrorCode.INVALID_ARGUMENT)):
        with pytest.raises(ServiceError) as refused:
            check_unchanged(wanted, TRACE, "trace")
        assert refused.value.code is code

"""The messages of protos/inference are those that tritonclient speaks: same names, numbers, types and calls."""

import subprocess
from typing import Any

import pytest

pytest.importorskip("tritonclient", reason="needs the environment of requirements/triton.lock")

from google.protobuf import descriptor_pb2
from tritonclient.grpc import model_config_pb2, service_pb2

from tests.triton.conftest import ROOT

TOLD = "import sys; from protos.inference import {0}_pb2; sys.stdout.buffer.write({0}_pb2.DESCRIPTOR.serialized_pb)"


@pytest.mark.parametrize(("ours", "theirs"), [("grpc_service", service_pb2), ("model_config", model_config_pb2)])
def test_our_messages_are_the_clients(ours: str, theirs: Any) -> None:
    told = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-c", TOLD.format(ours)], capture_output=True, timeout=60, check=True, cwd=ROOT,
    ).stdout
    found = [descriptor_pb2.FileDescriptorProto.FromString(one) for one in (told, theirs.DESCRIPTOR.serialized_pb)]
    assert _fields(found[0]) == _fields(found[1])
    assert _calls(found[0]) == _calls(found[1])
    assert _fields(found[0])


def _fields(file: descriptor_pb2.FileDescriptorProto) -> set[tuple[Any, ...]]:
    def of(message: descriptor_pb2.DescriptorProto, scope: str) -> set[tuple[Any, ...]]:
        name = f"{scope}.{message.name}"
        rows: set[tuple[Any, ...]] = {(name, one.name, one.number, one.type, one.label, one.type_name) for one in message.field}
        rows |= {(name, kind.name, value.name, value.number) for kind in message.enum_type for value in kind.value}
        return rows.union(*(of(nested, name) for nested in message.nested_type))

    rows: set[tuple[Any, ...]] = {(kind.name, value.name, value.number) for kind in file.enum_type for value in kind.value}
    return rows.union(*(of(message, "") for message in file.message_type))


def _calls(file: descriptor_pb2.FileDescriptorProto) -> set[tuple[Any, ...]]:
    return {
        (service.name, call.name, call.input_type, call.output_type, call.client_streaming, call.server_streaming)
        for service in file.service for call in service.method
    }

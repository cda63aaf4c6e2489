"""grpcio-tools as a plugin of buf: it brings protoc and gRPC's generator for Python, but only as one module."""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = plugin_pb2.CodeGeneratorResponse(supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
with tempfile.TemporaryDirectory() as folder:
    image, out = Path(folder, "image.binpb"), Path(folder, "out")
    image.write_bytes(descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString())
    out.mkdir()
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={image}", *outputs, *request.file_to_generate],
        check=True,
    )
    for made in sorted(out.rglob("*.py*")):
        response.file.add(name=made.relative_to(out).as_posix(), content=made.read_text())
sys.stdout.buffer.write(response.SerializeToString())

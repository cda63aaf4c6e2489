// What a page of a partner's imports, as one script: connect-web as it is on npm, and the protos read as descriptors instead of
// generated code, so that this needn't be made again when they change.
import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

globalThis.library = {
  Code, ConnectError, createClient, createConnectTransport, createGrpcWebTransport, toJson,
  registryOf: (bytes) => createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes)),
};

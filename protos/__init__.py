"""The wire contract of gRPC: .proto files and the code generated from them (`make protos`)."""

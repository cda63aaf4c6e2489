"""Connect and gRPC-Web on the REST port, for browsers: the servicers of gRPC, reached in another way."""

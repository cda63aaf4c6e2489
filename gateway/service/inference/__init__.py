"""The Open Inference Protocol (KServe v2, with Triton's extensions) as far as it is the same over REST and gRPC."""

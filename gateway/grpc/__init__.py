"""gRPC: a thin transport over the service."""

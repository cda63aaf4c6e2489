"""REST: a thin transport over the service."""

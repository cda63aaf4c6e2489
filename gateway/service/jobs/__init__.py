"""Durable requests: what was accepted is answered once, whatever is killed in between."""

"""Live streams: frames in, a verdict that moves with them out."""

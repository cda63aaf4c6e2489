"""The node on its own: the devices of this machine, for gateways elsewhere. Needs gRPC, and nothing of the gateway's."""

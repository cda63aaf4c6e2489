"""The Open Inference Protocol over REST: the paths of /v2."""

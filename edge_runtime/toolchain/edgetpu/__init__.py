"""What the Edge TPU does with a model: predicted, compiled, and read from the compiled file."""

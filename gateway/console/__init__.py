"""What the command line does and shows; gateway/commands holds its commands and options."""

"""What the command line does and shows; gateway/cli.py holds its commands and options."""

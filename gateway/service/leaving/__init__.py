"""What may leave this machine for the cloud, and the log of what did. Nothing here loads numpy but `tesseract`."""

"""Uploads that come in pieces, and go on where they broke off."""

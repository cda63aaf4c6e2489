"""Text that every database takes."""


def storable(text: str) -> str:
    """The text with what can't be stored replaced: half surrogates (no database) and U+0000 (PostgreSQL)."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")

"""De-identification of an upload before it leaves: headers, burned-in text, what photos carry beside their pixels.

Nothing that can't be cleaned passes: whatever isn't understood is held, with a reason that quotes nothing of the file.
"""

from domains.deidentify.outcome import Deidentified, Held
from domains.deidentify.text import TextReader, TextSearchFailed, Word
from domains.deidentify.upload import deidentify

__all__ = ["Deidentified", "Held", "TextReader", "TextSearchFailed", "Word", "deidentify"]

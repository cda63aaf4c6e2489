"""Tesseract as the reader of text on pictures, a process for each picture.

It loads what decodes pictures, so the gateway's own process must not import it: it belongs where `deidentify` runs.
"""

import csv
import shutil
import subprocess
from collections.abc import Sequence

from domains.core import Pixels
from domains.deidentify.text import TextReader, TextSearchFailed, Word

LIMIT_S = 60.0
_SPARSE_TEXT = "11"
"""Page segmentation: find as much text as possible in no particular order."""
_WORD = "5"
"""The level of a line of the output that is a word, and not a block or a line of text."""


class Tesseract(TextReader):
    """The program `tesseract`, 4 or 5, with its English data; letters of other Latin scripts are found as well."""

    def __init__(self, program: str = "tesseract", *, limit_s: float = LIMIT_S) -> None:
        """Raises TextSearchFailed where the program isn't installed."""
        found = shutil.which(program)
        if found is None:
            raise TextSearchFailed("tesseract isn't installed")
        self._command = [found, "stdin", "stdout", "--psm", _SPARSE_TEXT, "--dpi", "150", "-l", "eng", "tsv"]
        self._limit_s = limit_s

    def read(self, picture: Pixels) -> Sequence[Word]:
        """The words with Tesseract's own confidences."""
        height, width = picture.shape
        pgm = f"P5 {width} {height} 255\n".encode() + picture.tobytes()
        try:
            done = subprocess.run(
                self._command, input=pgm, capture_output=True, timeout=self._limit_s, check=True,
                env={"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},  # more threads than one make it slower
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise TextSearchFailed("tesseract gave no answer") from error
        lines = csv.DictReader(done.stdout.decode("utf-8", "replace").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        if not {"level", "conf", "text"} <= set(lines.fieldnames or ()):
            raise TextSearchFailed("tesseract answered in another form than expected")
        try:
            return [Word(line["text"] or "", float(line["conf"])) for line in lines if line["level"] == _WORD]
        except (KeyError, TypeError, ValueError) as error:
            raise TextSearchFailed("tesseract answered in another form than expected") from error

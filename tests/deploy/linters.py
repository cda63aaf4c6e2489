"""What the tests of deploy/ share: its files, and the tools that check them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.missing import missing

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGES = ("Containerfile", "Containerfile.coral-x86", "Containerfile.coral-arm64")
PROGRAM = "/opt/hedgerow/bin/hedgerow"


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a tool of this environment or of the machine; skips by its name where it isn't installed."""
    beside = Path(sys.executable).with_name(tool)
    program = str(beside) if beside.exists() else shutil.which(tool)
    if program is None:
        missing(tool)
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def copied(image: str) -> list[str]:
    """The files and folders of the project that an image's recipe copies."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / image).read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]

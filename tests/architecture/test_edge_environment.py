"""A node runs where nothing but [edge] is installed: an environment made from its lock file, and this project as a wheel."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.remote import RemoteConfig, RemoteNode
from edge_runtime.scheduler import Priority
from tests.gateway_process import ROOT, SAMPLES
from tests.missing import missing
from tests.node_process import NodeProcess

OF_THE_GATEWAY = (
    "alembic", "fastapi", "httpx", "pydantic", "rich", "sqlalchemy", "structlog", "typer", "uvicorn", "uvloop",
)
OF_WORKERS = ("numpy", "cv2", "ai_edge_litert")


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the environment's programs."""
    folder = tmp_path_factory.mktemp("edge")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], timeout=120, check=True)
    programs = folder / "venv" / "bin"
    pip = [str(programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    lock = str(ROOT / "requirements" / "edge.lock")
    done = subprocess.run(
        [*pip, "--require-hashes", "--requirement", lock], capture_output=True, text=True, timeout=600, check=False
    )
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        missing("a package index with what requirements/edge.lock names")
    assert done.returncode == 0, done.stderr
    wheel = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(wheel, capture_output=True, timeout=120, check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", *map(str, folder.glob("*.whl"))], capture_output=True, timeout=120, check=True)
    return programs


def test_a_scan_is_answered_by_a_node_that_has_none_of_the_gateways_libraries(edge: Path, tmp_path: Path) -> None:
    found = f"from importlib.util import find_spec; print([name for name in {OF_THE_GATEWAY} if find_spec(name)])"
    listed = subprocess.run([edge / "python", "-I", "-c", found], capture_output=True, text=True, timeout=60, check=True)
    assert listed.stdout.strip() == "[]"

    async def test(address: str) -> None:
        node = RemoteNode(RemoteConfig(address, "board"))
        await node.start()
        try:
            async with asyncio.timeout(20):
                await node.wait_ready()
            scan = (SAMPLES / "lung_scan.png").read_bytes()
            answer = await node.analyse(
                "pathology", scan, {"exam": "lung_ultrasound"}, priority=Priority.INTERACTIVE, timeout_s=20
            )
            assert answer.reply.document["kind"] == "classification"
            assert answer.node == "board"
        finally:
            await node.stop()

    with NodeProcess(tmp_path / "node", program=edge / "hedgerow", cwd=tmp_path) as node:
        asyncio.run(test(node.address))
        loaded = Path(f"/proc/{node.process.pid}/maps").read_text()
        assert not [name for name in OF_WORKERS if f"site-packages/{name}" in loaded], "that is for its devices' processes"


def test_there_the_gateway_says_in_a_line_what_it_lacks(edge: Path, tmp_path: Path) -> None:
    done = subprocess.run([edge / "hedgerow", "serve"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "hedgerow: pydantic is not installed: pip install 'hedgerow[gateway]' brings it; what is here runs `hedgerow node`\n"
    )

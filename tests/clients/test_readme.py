"""The examples in the client's pages run as they stand there, and the client's wheel has what it needs and no more."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.gateway_process import ROOT, GatewayProcess

CLIENT = ROOT / "clients" / "python"
PAGES = (CLIENT / "README.md", ROOT / "docs" / "client.md")
WHAT_IS_LOADED = """
import sys, hedgerow_client
print(hedgerow_client.__file__)
print(*{name.partition(".")[0] for name in sys.modules})
"""
EXAMPLES = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), 1)
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(gateway: GatewayProcess, tmp_path: Path, code: str) -> None:
    reached = {"HEDGEROW_URL": gateway.url, "HEDGEROW_KEY": gateway.key, "HEDGEROW_GRPC": gateway.grpc_address}
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=gateway.environment | reached, cwd=tmp_path, capture_output=True,
        text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_wheel_holds_the_client_and_its_messages_alone(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=CLIENT, capture_output=True,
        text=True, timeout=120, check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"hedgerow_client", "protos"}
    assert "hedgerow_client/py.typed" in names
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", WHAT_IS_LOADED],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True, timeout=60, check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    place, modules = loaded.stdout.splitlines()
    assert place.startswith(str(tmp_path))
    assert not {"gateway", "edge_runtime", "domains", "numpy", "cv2", "av"} & set(modules.split())

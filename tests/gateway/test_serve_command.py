"""`hedgerow serve` as it is started."""

import os
import subprocess
import sys

LOADED = """
import atexit, sys
atexit.register(lambda: print(sorted({"alembic", "pygments", "rich", "typer"} & {name for name, module in sys.modules.items() if module})))
sys.argv = ["hedgerow", "serve"]
from gateway.entry import main
main()
"""


def test_a_gateway_loads_no_library_that_only_other_commands_need() -> None:
    environment = {**os.environ, "HEDGEROW_REST_PORT": "none"}
    ended = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stdout) == (2, "[]\n")
    assert "HEDGEROW_REST_PORT" in ended.stderr

"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Data = Annotated[Path, typer.Option("--data", help="Folder of the data sets; docs/training.md says what is in it.")]
Domain = Annotated[str, typer.Option("--domain", "-d", help="The domain, such as pathology or crop_weed.")]
GatewayUrl = Annotated[str, typer.Option("--url", help="The running gateway, http://127.0.0.1:8080 unless given here or as HEDGEROW_URL.")]

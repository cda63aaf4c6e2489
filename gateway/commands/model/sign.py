"""`hedgerow model sign`: a package's signature."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.common import fail


def sign(
    packages: Annotated[list[Path], typer.Argument(metavar="PACKAGE...", help="Folders of packages.", show_default=False)],
    key: Annotated[Path, typer.Option(help="The private key (PEM): P-256, P-384 or P-521.", show_default=False)],
    certificate: Annotated[Path | None, typer.Option(help="The key's certificate (PEM), where an authority is trusted and not the key itself.")] = None,
    chain: Annotated[list[Path] | None, typer.Option(help="A certificate (PEM) between that one and its authority; any number of times.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="A file whose first line is the key's password.")] = None,
) -> None:
    """Sign packages: every file of each, as PACKAGE/model.sig. Nothing of it needs a network. docs/signing.md."""
    from edge_runtime.errors import PackageError
    from edge_runtime.signatures import SignersError, require_libraries

    if chain and certificate is None:
        fail("--chain goes with --certificate")
    try:
        require_libraries()
        from edge_runtime.signing.sign import SigningKey
        from edge_runtime.signing.sign import sign as run

        by = SigningKey(key, password_file, certificate, tuple(chain or ()))
        for package in packages:
            made = run(package, by)
            print(f"{made.package.spec.name} {made.package.spec.version} is signed by {made.signer}: {made.file}")
    except (PackageError, SignersError) as error:
        fail(str(error))

"""`hedgerow model`: from a trained network to a package on the edge, a command for each step."""

import typer

app = typer.Typer(no_args_is_help=True, help="One model: make its variants, measure, check, compile, package and sign it.")

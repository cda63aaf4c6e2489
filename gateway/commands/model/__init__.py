"""`hedgerow model`: from a trained network to a package on the edge, a command for each step."""

import typer

from gateway.commands.model.check import check
from gateway.commands.model.compile import compile_model
from gateway.commands.model.inspect import inspect_model
from gateway.commands.model.optimize import optimize
from gateway.commands.model.package import package
from gateway.commands.model.parity import parity
from gateway.commands.model.reencode import reencode_model
from gateway.commands.model.report import report
from gateway.commands.model.sign import sign
from gateway.commands.model.verify import verify

app = typer.Typer(no_args_is_help=True, help="One model: make its variants, measure, check, compile, package and sign it.")
app.command()(verify)
app.command()(sign)
app.command()(package)
app.command()(report)
app.command("compile")(compile_model)
app.command("inspect")(inspect_model)
app.command()(parity)
app.command("reencode")(reencode_model)
app.command()(check)
app.command()(optimize)

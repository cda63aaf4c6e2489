"""`hedgerow model compile`: int8 models to Edge TPU ones, with Google's compiler or with what it made elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, say
from gateway.commands.options import AsJson

if TYPE_CHECKING:
    from edge_runtime.toolchain.edgetpu.compile_models import Result
    from edge_runtime.toolchain.edgetpu.compiler import CompilerError, Options


def compile_model(
    models: Annotated[list[Path], typer.Argument(metavar="PACKAGE_OR_FILE...", help="Package folders and int8 .tflite files. Several are co-compiled: they share the TPU's memory, the first has the first call on it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Put what was compiled here, and leave packages as they are.", show_default=False)] = None,
    multiple_subgraphs: Annotated[bool, typer.Option("--multiple-subgraphs", help="Map operators behind one that stays on the CPU too (the compiler's -a, experimental).")] = False,
    min_runtime_version: Annotated[int, typer.Option(min=0, help="The oldest Edge TPU runtime that must run it (the compiler's -m); 0: the newest that the compiler knows.")] = 0,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that the compiler may take.")] = 180,
    compiled: Annotated[Path | None, typer.Option(help="Take in this file, compiled on another machine, in place of running the compiler. Needs --log.", show_default=False)] = None,
    log: Annotated[Path | None, typer.Option(help="What the compiler wrote when it made --compiled.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Compile models for the Edge TPU and store them in their packages as the variant int8_edgetpu, with a report.

    Without the compiler it says what to run where, and exits with 1. docs/compile.md.
    """
    import msgspec

    from edge_runtime.errors import PackageError
    from edge_runtime.toolchain.edgetpu.compiler import CompilerError, Options
    from gateway.console.model_compile import results_text

    if (compiled is None) is not (log is None):
        fail("--compiled and --log go together: what was compiled, and what the compiler wrote about it")
    options = Options(multiple_subgraphs, min_runtime_version, timeout)
    try:
        results = _results(models, out, options, compiled, log)
    except CompilerError as error:
        fail(_with_log(error))
    except (PackageError, ValueError) as error:
        fail(str(error))
    except OSError as error:
        fail(": ".join(str(part) for part in (error.filename, error.strerror) if part))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results), indent=2).decode())
    else:
        Console().print(results_text(results), soft_wrap=True)


def _results(models: list[Path], out: Path | None, options: "Options", compiled: Path | None, log: Path | None) -> "list[Result]":
    from edge_runtime.toolchain.edgetpu.compile_models import compile_sources, instructions, read_sources, take_in
    from edge_runtime.toolchain.edgetpu.compiler import find_compiler

    sources = read_sources(models)
    if compiled is not None and log is not None:
        if len(sources) > 1:
            fail("--compiled is one file, so give the one package or file that it was compiled from")
        return [take_in(sources[0], compiled, log, options, out)]
    program = find_compiler()
    if program is None:
        fail(instructions(sources, options, out))
    return compile_sources(sources, program, options, out, say)


def _with_log(error: "CompilerError") -> str:
    from edge_runtime.toolchain.edgetpu.compile_models import keep_log

    kept = keep_log(error.log)
    return f"{error}" + (f"; its log is {kept}" if kept else "")

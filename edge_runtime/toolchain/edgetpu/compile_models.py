"""From packages and files to compiled ones: with the compiler on this machine, or with what it made on another."""

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_runtime.errors import PackageError
from edge_runtime.models import ModelPackage, load_package
from edge_runtime.tflite_file import CUSTOM_OP
from edge_runtime.toolchain.edgetpu.compile_report import CompileReport, make_report
from edge_runtime.toolchain.edgetpu.compiler import (
    PROGRAM,
    CompilerError,
    Options,
    command_line,
    compiled_name,
    run_compiler,
)
from edge_runtime.toolchain.edgetpu.predict import predict
from edge_runtime.toolchain.edgetpu.store import int8_of, store_beside, store_in_package
from edge_runtime.toolchain.tflite import read_model

MAX_LOG_BYTES = 2**24
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What was asked for. `file`: what the compiler gets, under the name `model`, which no other of the run has."""

    given: Path
    file: Path
    model: str
    package: ModelPackage | None = None


class Result(msgspec.Struct, frozen=True):
    """What became of one source. `notes`: what was put where, for people."""

    source: str
    report: CompileReport
    notes: list[str]


def read_sources(given: Sequence[Path]) -> list[Source]:
    """Packages and TFLite files, in the order given. Raises PackageError or ValueError, naming the one that can't be used."""
    found: list[Source] = []
    for path in given:
        package = load_package(path.resolve()) if path.is_dir() else None
        file = path / int8_of(package).name if package else path
        model = read_model(file)
        if any(op.name == CUSTOM_OP for op in model.ops):
            raise ValueError(f"{file.name} is compiled already; give the file that it was compiled from")
        found.append(Source(path, file, _free_name(package.folder.name if package else path.stem, found), package))
    return found


def compile_sources(sources: Sequence[Source], program: Path, options: Options, out: Path | None, say: Say) -> list[Result]:
    """Compiles all of them in one run and stores what comes of it. With `out` everything goes there, and packages stay as
    they are.

    Raises CompilerError, PackageError, ValueError or OSError; then nothing was stored, unless an OSError came in between.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for source in sources:
            shutil.copyfile(source.file, folder / source.model)
        models = [source.model for source in sources]
        try:
            log = run_compiler(program, folder, models, options, say)
        except CompilerError as error:
            raise CompilerError(_told(error, sources, options), error.log) from error
        made = []
        for source in sources:
            compiled = folder / compiled_name(source.model)
            told = _with_table(log, compiled)
            report = make_report(
                folder / source.model, compiled, told, source_name=_source_name(source),
                options=options.words(), beside=[model for model in models if model != source.model],
                many_subgraphs=options.multiple_subgraphs,
            )
            made.append((source, compiled, report, told))
        return [_stored(source, compiled, report, told, out) for source, compiled, report, told in made]


def take_in(source: Source, compiled: Path, log: Path, options: Options, out: Path | None) -> Result:
    """Stores what was compiled elsewhere. Raises PackageError, ValueError or OSError; then nothing was stored."""
    with log.open("rb") as stream:
        text = stream.read(MAX_LOG_BYTES).decode("utf-8", "replace")
    report = make_report(
        source.file, compiled, text, source_name=_source_name(source), many_subgraphs=options.multiple_subgraphs
    )
    return _stored(source, compiled, report, text, out)


def instructions(sources: Sequence[Source], options: Options, out: Path | None) -> str:
    """What to do on a machine without the compiler, word for word."""
    copies = [shlex.join(["cp", str(source.file), source.model]) for source in sources]
    later = []
    for source in sources:
        words = ["hedgerow", "model", "compile", str(source.given), "--compiled", compiled_name(source.model), "--log", "compiler.log"]
        later.append(shlex.join([
            *words, *(["--multiple-subgraphs"] if options.multiple_subgraphs else []), *(["--out", str(out)] if out else [])
        ]))
    return "\n".join([
        f"{PROGRAM} is not on the PATH. Google gives it out for x86-64 Debian and its kin (Ubuntu, ...) alone:",
        "add Coral's apt repository as coral.ai/docs/edgetpu/compiler says, then `sudo apt-get install edgetpu-compiler`,",
        "and run this command again. Where that can't be, take the model to such a machine:",
        *(f"    {line}" for line in copies),
        "compile it there:",
        f"    {command_line([source.model for source in sources], options)}",
        "and bring what comes of it back:",
        *(f"    {line}" for line in later),
    ])


def keep_log(log: str) -> Path | None:
    """Puts the log of a run that failed where it outlives it; None where there is none."""
    if not log.strip():
        return None
    with tempfile.NamedTemporaryFile("w", prefix="edgetpu_compiler_", suffix=".log", delete=False) as stream:
        stream.write(log)
    return Path(stream.name)


def _stored(source: Source, compiled: Path, report: CompileReport, log: str, out: Path | None) -> Result:
    if source.package is not None and out is None:
        notes = store_in_package(source.package, compiled, report, log)
    else:
        notes = store_beside(out or source.file.parent, Path(source.model).stem, compiled, report, log)
    return Result(str(source.given), report, notes)


def _source_name(source: Source) -> str:
    return f"{source.package.folder.name}/{source.file.name}" if source.package else source.file.name


def _free_name(stem: str, taken: Sequence[Source]) -> str:
    """A name that is no option and means nothing to a shell."""
    plain = re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII).lstrip("-.") or "model"
    names = {source.model for source in taken}
    return next(
        name for number in range(1, len(taken) + 2)
        if (name := f"{plain}{f'_{number}' if number > 1 else ''}.tflite") not in names
    )


def _with_table(log: str, compiled: Path) -> str:
    """The log, and where that has no table of operators the one that the compiler put into a file."""
    beside = compiled.with_suffix(".log")
    return f"{log}\n{beside.read_text('utf-8', 'replace')}" if "Operator " not in log and beside.is_file() else log


def _told(error: CompilerError, sources: Sequence[Source], options: Options) -> str:
    """A refusal that `check` didn't foresee is a fault of `check`."""
    if not error.log or len(sources) > 1:
        return str(error)
    try:
        foreseen = predict(read_model(sources[0].file), many_subgraphs=options.multiple_subgraphs).fatal
    except (PackageError, ValueError):
        return str(error)
    return str(error) if foreseen else f"{error}. `hedgerow model check` didn't foresee this"

"""`make models`: every package that ships, made from the data folder, each in a process of its own.

    python -m edge_runtime.toolchain.make_models --data DIR [--out var/models] [--only MODEL ...] [--seed 7]
        [--script MODEL=FILE ...]

Writes the packages, `logs/MODEL.log`, and what each cost into `summary.json` and `summary.md`. A stopped run goes on where it was;
what is finished, from the same data, code and seed, isn't made again. One that fails stops no other; the exit status is then 1.

`--script`: this model is made by a program of its own, which is called with --data, --out (its own folder for what it keeps), --seed
and --ship (where the package goes).
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from domains import registry
from domains.core.training import Recipe
from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, write_whole
from edge_runtime.models import load_package, sha256_of
from edge_runtime.toolchain.made import Made, page
from edge_runtime.toolchain.package import WORK
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.steps import key_of
from edge_runtime.toolchain.train import train

SUMMARY, PAGE, LOGS = "summary.json", "summary.md", "logs"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """`only`: these models; all where empty. `scripts`: the programs of models that have one of their own."""

    data: Path
    out: Path
    work: Path = WORK
    seed: int = 7
    only: Sequence[str] = ()
    scripts: Mapping[str, Path] = field(default_factory=dict)


def make_models(wish: Wish, say: Say) -> list[Made]:
    """Makes what isn't finished; gives what became of each. Raises ValueError for a model that no domain has a recipe of."""
    recipes = {recipe.identity.name: recipe for domain in registry.names() for recipe in recipes_of(domain)}
    if unknown := [name for name in (*wish.only, *wish.scripts) if name not in recipes]:
        raise ValueError(f"there is no recipe {unknown[0]!r}; choose from {', '.join(recipes)}")
    (wish.out / LOGS).mkdir(parents=True, exist_ok=True)
    earlier = read_summary(wish.out)
    found = dict(earlier)
    for name, recipe in recipes.items():
        if not wish.only or name in wish.only:
            found[name] = _made(recipe, wish, earlier.get(name), say)
            _write(wish.out, [found[known] for known in recipes if known in found])
    return [found[name] for name in recipes if name in found and (not wish.only or name in wish.only)]


def read_summary(out: Path) -> dict[str, Made]:
    """By model; empty where there is none that can be read."""
    try:
        rows = msgspec.json.decode((out / SUMMARY).read_bytes(), type=list[Made])
    except (OSError, msgspec.DecodeError):
        return {}
    return {row.model: row for row in rows}


def _made(recipe: Recipe, wish: Wish, earlier: Made | None, say: Say) -> Made:
    identity = recipe.identity
    began = Made(identity.name, identity.domain, wish.seed)
    try:
        key = key_of(recipe, wish.data, {"seed": str(wish.seed), "words": repr((identity, recipe.card))})
    except FileNotFoundError as error:
        say(f"{identity.name}: not made: {error.filename} is not there")
        return msgspec.structs.replace(began, error=f"{error.filename} is not there")
    if earlier is not None and earlier.key == key:
        if earlier.manifest_sha256 and earlier.manifest_sha256 == _sha256(wish.out / identity.name / MANIFEST):
            say(f"{identity.name}: finished before")
            return earlier
        began = earlier
    say(f"{identity.name}: being made, see {wish.out / LOGS / identity.name}.log")
    status, seconds, peak_mb = run(_command(identity.domain, identity.name, wish), wish.out / LOGS / f"{identity.name}.log")
    spent = msgspec.structs.replace(began, key=key, runs=began.runs + 1, seconds=round(began.seconds + seconds, 1),
                                    peak_mb=max(began.peak_mb, peak_mb), error="", manifest_sha256="")
    done = _finished(spent, recipe, wish.out) if status == 0 else msgspec.structs.replace(
        spent, error=f"ended with {status}: {_last_line(wish.out / LOGS / f'{identity.name}.log')}")
    say(f"{identity.name}: {done.error or f'{done.version} in {seconds:.0f} s, {peak_mb} MB'}")
    return done


def run(command: Sequence[str], log: Path) -> tuple[int, float, int]:
    """Runs it with all that it says added to the log; its exit status, seconds, and its most resident memory in MB.

    The kernel counts what a process inherits at its start, so memory is never less than this program's own.
    """
    began = time.monotonic()
    with log.open("ab") as stream, subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, time.monotonic() - began, round(usage.ru_maxrss * 1024 / 1e6)


def _command(domain: str, name: str, wish: Wish) -> list[str]:
    shared = ["--data", str(wish.data), "--seed", str(wish.seed)]
    if name in wish.scripts:
        return [sys.executable, str(wish.scripts[name]), *shared, "--out", str(wish.work / name), "--ship", str(wish.out)]
    return [sys.executable, "-u", "-m", __spec__.name, *shared, "--out", str(wish.out), "--work", str(wish.work), "--alone", f"{domain}/{name}"]


def _finished(made: Made, recipe: Recipe, out: Path) -> Made:
    folder = out / made.model
    try:
        manifest = load_package(folder).manifest
    except PackageError as error:
        return msgspec.structs.replace(made, error=str(error))
    metrics = msgspec.convert(manifest.metrics, dict[str, dict[str, dict[str, float]]])
    return msgspec.structs.replace(
        made, version=manifest.version, manifest_sha256=sha256_of(folder / MANIFEST),
        size_mb=round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 2), main_figure=recipe.main_figure,
        figures={variant: figures[recipe.main_figure] for variant, figures in metrics.items()},
    )


def _write(out: Path, rows: Sequence[Made]) -> None:
    write_whole(out / SUMMARY, msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    write_whole(out / PAGE, page(rows).encode())


def _sha256(path: Path) -> str:
    return sha256_of(path) if path.is_file() else ""


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _scripts(given: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for text in given:
        name, _, file = text.partition("=")
        yield name, Path(file)


def main() -> None:
    """Parses the command line and makes the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("var/models"))
    parser.add_argument("--work", type=Path, default=WORK, help="what stopped runs go on from")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", action="append", default=[], metavar="MODEL")
    parser.add_argument("--script", action="append", default=[], metavar="MODEL=FILE")
    parser.add_argument("--alone", default="", metavar="DOMAIN/MODEL", help="in this process, nothing else")
    asked = parser.parse_args()
    if asked.alone:
        domain, _, name = asked.alone.partition("/")
        train(domain, asked.data, out=asked.out, seed=asked.seed, only=name, work=asked.work)
        return
    try:
        made = make_models(Wish(asked.data, asked.out, asked.work, asked.seed, asked.only, dict(_scripts(asked.script))), _say)
    except ValueError as error:
        sys.exit(str(error))
    failed = [row.model for row in made if row.error]
    _say(f"{len(made) - len(failed)} of {len(made)} packages are in {asked.out}; {asked.out / PAGE} tells what they cost")
    if failed:
        sys.exit(f"not made: {', '.join(failed)}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

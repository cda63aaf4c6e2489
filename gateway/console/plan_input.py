"""What a user of `hedgerow plan` asks about: models with their load and times, and devices, from the command line's
words.
"""

import os
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge_runtime.devices import parse_device
from edge_runtime.folders import MANIFEST
from edge_runtime.planner import CPU_S_PER_MAC, HOST_S, PlannedDevice, PlannedModel
from edge_runtime.scheduler import Priority
from edge_runtime.simulation import Stream, Work
from edge_runtime.tflite_file import read_graph
from edge_runtime.timing import BUSES, ModelProfile, profile_of, run_s

PRIORITIES = tuple(priority.name.lower() for priority in Priority)
PATTERNS = ("poisson", "regular")
KEYS = ("deadline", "pattern", "priority", "invocations", "tpu_ms", "cpu_ms", "host_ms", "megabytes")


def package_files(folders: Iterable[Path]) -> dict[str, Path]:
    """The int8 file of each model package, by the model's name."""
    found = {}
    for folder in folders:
        variants = tomllib.loads((folder / MANIFEST).read_text()).get("variants", {})
        if "int8" in variants:
            found[folder.name] = folder / variants["int8"]["file"]
    return found


def parse_devices(texts: Sequence[str], cores: int | None) -> list[PlannedDevice]:
    """Devices in the text form of the setting; one may be named several times. `cores`: None for this machine's.

    Raises ValueError.
    """
    specs = [parse_device(text) for text in texts]
    if cores is not None and cores < 1:
        raise ValueError(f"a CPU has one core at least, not {cores}")
    devices: list[PlannedDevice] = []
    numbers: Counter[str] = Counter()
    for spec in specs:
        if spec.backend == "litert":
            devices.append(PlannedDevice("cpu", cores=cores or len(os.sched_getaffinity(0))))
            continue
        bus = spec.address.split(":")[0] if spec.backend == "simulated" else "pcie" if "pci" in spec.address else "usb3"
        numbers[bus] += 1
        devices.append(PlannedDevice(f"tpu-{bus}-{numbers[bus]}", bus))
    return devices


def parse_model(text: str, packages: Mapping[str, Path], deadline_s: float, *, on_cpu: bool) -> PlannedModel:
    """`NAME=RATE[,KEY=VALUE...]`, where NAME is a package's, a TFLite file's, or any where its times are given.
    `on_cpu`: whether what it takes there has to be known.

    Raises ValueError, saying what is wrong with it.
    """
    head, *pairs = text.split(",")
    name, equals, rate = head.rpartition("=")
    if not equals or not name:
        raise ValueError(f"a model is given as NAME=REQUESTS_PER_SECOND, not {text!r}")
    options = dict(pair.partition("=")[::2] for pair in pairs)
    unknown = next((key for key in options if key not in KEYS), None)
    if unknown is not None:
        raise ValueError(f"{name}: there is no option {unknown!r}; choose from {', '.join(KEYS)}")
    number = _numbers(name, options)
    if deadline_s <= 0:
        raise ValueError(f"a deadline lies in the future, not at {deadline_s:g} s")
    stream = Stream(
        name, _number(name, "rate", rate, above=0), number("deadline", deadline_s, above=0),
        priority=Priority[_choice(name, "priority", options, PRIORITIES, "interactive").upper()],
        pattern="regular" if _choice(name, "pattern", options, PATTERNS, "poisson") == "regular" else "poisson",
    )
    invocations = number("invocations", 1, above=0)
    if invocations != int(invocations):
        raise ValueError(f"{name}: invocations is a whole number, not {options['invocations']}")
    profile, cpu_s = _times(name, packages, options, number, on_cpu=on_cpu)
    return PlannedModel(stream, Work(profile, cpu_s, number("host_ms", HOST_S * 1000) / 1000, int(invocations)))


def _times(
    name: str, packages: Mapping[str, Path], options: Mapping[str, str], number: Callable[..., float], *, on_cpu: bool
) -> tuple[ModelProfile, float]:
    """The profile on an Edge TPU and the seconds of an invocation on a CPU: given, or read off the file."""
    path = Path(name) if _is_file(name) else packages.get(name)
    if path is None and "tpu_ms" not in options:
        raise ValueError(f"there is no model {name!r}; installed are {', '.join(packages)}. "
                         "Or name a quantised TFLite file, or give tpu_ms, megabytes and cpu_ms")
    if path is not None and path.stem.endswith("_edgetpu"):
        raise ValueError(f"{path.name} is compiled, which hides what is in it: name the file that it was compiled from")
    if path is not None and not path.is_file():
        raise ValueError(f"there is no file {name}")
    if path is None and on_cpu and "cpu_ms" not in options:
        raise ValueError(f"{name}: give cpu_ms too, the milliseconds of one run on a core")
    profile = ModelProfile(name, 0, 0, 0, 0.0) if path is None else profile_of(path, name=name)
    if "megabytes" in options or path is None:
        profile = replace(profile, parameter_bytes=round(number("megabytes", 0.0) * 1e6))
    if "tpu_ms" in options:
        rest_s = run_s(replace(profile, compute_s=0.0), BUSES["usb3"])
        profile = replace(profile, compute_s=max(0.0, number("tpu_ms", 0.0, above=0) / 1000 - rest_s))
    cpu_ms = 0.0 if path is None else read_graph(path).macs * CPU_S_PER_MAC * 1000
    return profile, number("cpu_ms", cpu_ms, above=0) / 1000


def _is_file(name: str) -> bool:
    return "/" in name or name.endswith(".tflite")


def _numbers(name: str, options: Mapping[str, str]) -> Callable[..., float]:
    def number(key: str, default: float, *, above: float = -1e-9) -> float:
        return _number(name, key, options[key], above=above) if key in options else default

    return number


def _number(name: str, key: str, text: str, *, above: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}: {key} is a number, not {text!r}") from None
    if not above < value < 1e6:
        raise ValueError(f"{name}: {key} is out of range: {text}")
    return value


def _choice(name: str, key: str, options: Mapping[str, str], choices: Sequence[str], default: str) -> str:
    chosen = options.get(key, default)
    if chosen not in choices:
        raise ValueError(f"{name}: {key} is one of {', '.join(choices)}, not {chosen!r}")
    return chosen

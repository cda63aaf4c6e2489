"""How long an Edge TPU takes, from published figures: a model of the device in time, without a device and without a clock.

    run   = call + (input + output + instructions) / bus + parameters that don't fit / bus + computing / clock
    first = run + parameters that fit / bus              where another model's parameters were resident

The rules, with their sources:

* The chip caches about 8 MB of parameters, of one model at a time, or of several that were compiled together; what doesn't
  fit is sent again at each run (coral.ai/docs/edgetpu/compiler, "Parameter data caching"). Alternating two models reloads
  at each turn: 2.3 -> 13.1 and 26.9 -> 175.9 ms (google-coral/coralmicro#48, a board with USB 2).
* Computing takes FIXED_S + SECONDS_PER_MAC for each multiplication with addition, fitted to Coral's own table of models
  (coral.ai/docs/edgetpu/benchmarks; parameters and MACs of the models from their papers). That is 36 % of the chip's peak
  of 4 TOPS.
* Instructions are sent at each run; they are taken for a fixed share of the resident parameters. This share and the
  speed of USB 2 are fitted to four models on the Dev Board Mini (google-coral/edgetpu#593, #497).
* The speeds of USB 3 and PCIe are those at which Coral's table sends VGG16's 130 MB that don't fit.

How far off it is: 13 of the 15 classifiers of Coral's table come out within 30 %, on USB 3 and on the Dev Board (PCIe);
DenseNet (20 ms) comes out at a third, and Inception-ResNet v2 (57 ms) at 2.3 times, which is more than USB 3 could
carry. Four models on the Dev Board Mini come out within 25 %. A PC's USB 2 port can be twice as fast as that board's
(edgetpu#151: MobileNet v1 9.5 ms). The table is for libedgetpu's full clock: `libedgetpu1-std` computes at half of it.
What a model leaves to the CPU, such as the resizing in DeepLab, is not in here. Tests hold these bounds.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.tflite_file import read_graph

CACHE_BYTES = 8_000_000
"""About 8 MB of memory on the chip, for parameters (coral.ai/docs/edgetpu/compiler)."""

FIXED_S = 0.5e-3
SECONDS_PER_MAC = 1.4e-12
INSTRUCTION_SHARE = 0.07

TRIP_POINTS_C = (85.0, 90.0, 95.0)
"""Each halves the clock: 500 -> 250 -> 125 -> 62.5 MHz (coral.ai/docs/pcie-parameters; defaults of the driver's
apex_driver.c, DEFAULT_TRIP_POINT0_TEMP and on). The driver does so only while temp_poll_interval isn't 0.
"""

IDLE_RISE_C, BUSY_RISE_C, SETTLING_S = 15.0, 70.0, 60.0
"""ASSUMED, since nothing is published: degrees above the surroundings when idle and when computing without pause at full
clock, with no heat sink, and the time constant between them. With them a module at 25 degrees that computes all the time would pass
the trip points, and one in light use stays at the 46 to 53 degrees that google-coral/edgetpu#843 saw in a server.
"""


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What the device has to do for one run. `compute_s`: on the chip at its full clock, transfers excluded. `group`:
    models with the same non-empty group were compiled together and are resident together.
    """

    name: str
    parameter_bytes: int
    input_bytes: int
    output_bytes: int
    compute_s: float
    group: str = ""

    @property
    def cached_bytes(self) -> int:
        """Parameters that stay on the chip."""
        return min(self.parameter_bytes, CACHE_BYTES)

    @property
    def moved_bytes(self) -> int:
        """What crosses the bus at each run, streamed parameters excluded."""
        return self.input_bytes + self.output_bytes + round(INSTRUCTION_SHARE * self.cached_bytes)


@dataclass(frozen=True, slots=True)
class Bus:
    """How the chip is attached. `call_s`: what each run takes besides bytes. `has_sensor`: whether the hardware tells its
    temperature, and lowers its clock by it: the PCIe ones do, the USB Accelerator doesn't (google-coral/edgetpu#102).
    """

    name: str
    title: str
    bytes_per_s: float
    call_s: float
    has_sensor: bool


BUSES = {
    bus.name: bus for bus in (
        Bus("usb2", "USB 2", 25e6, 0.3e-3, has_sensor=False),
        Bus("usb3", "USB 3", 440e6, 0.3e-3, has_sensor=False),
        Bus("pcie", "PCIe", 400e6, 0.3e-3, has_sensor=True),
    )
}


@dataclass(frozen=True, slots=True)
class RunTime:
    """Seconds of one run, by what they are spent on."""

    load_s: float
    transfer_s: float
    stream_s: float
    compute_s: float

    @property
    def total_s(self) -> float:
        """All of it: the device does one thing at a time."""
        return self.load_s + self.transfer_s + self.stream_s + self.compute_s

    @property
    def reloaded(self) -> bool:
        """Whether the parameters had to be sent first."""
        return self.load_s > 0


def profile_of(path: Path, *, name: str = "") -> ModelProfile:
    """The profile of a quantised TFLite file that was not compiled yet (a compiled one hides its operations).

    Raises ValueError where the file is no TFLite file, or not the whole of one.
    """
    graph = read_graph(path)
    return ModelProfile(
        name or path.stem, graph.parameter_bytes, graph.input_bytes, graph.output_bytes,
        FIXED_S + SECONDS_PER_MAC * graph.macs,
    )


def run_s(profile: ModelProfile, bus: Bus) -> float:
    """Seconds of a run once the model is resident, on a cool chip."""
    return _run(profile, bus, load=False, clock=1.0).total_s


def load_s(profile: ModelProfile, bus: Bus) -> float:
    """Seconds that the first run after another model takes more."""
    return profile.cached_bytes / bus.bytes_per_s


class TimedTpu:
    """The state of one device: what is resident, and how warm it is. Times are seconds on any one clock."""

    def __init__(self, bus: Bus, *, ambient_c: float = 25.0) -> None:
        self.bus = bus
        self.ambient_c = ambient_c
        """Degrees Celsius around it."""
        self.reloads = 0
        self.resident: frozenset[str] = frozenset()
        """The models whose parameters are on the chip."""
        self._group = ""
        self._rise_c = IDLE_RISE_C
        self._until: float | None = None

    def run(self, profile: ModelProfile, now: float) -> RunTime:
        """One run that begins at `now`, which is not before the end of the one before."""
        load = self._swap_in(profile)
        self._settle(now)
        clock = self.clock(now)
        spent = _run(profile, self.bus, load=load, clock=clock)
        power = clock * spent.compute_s / spent.total_s
        self._rise_c = _towards(self._rise_c, IDLE_RISE_C + power * (BUSY_RISE_C - IDLE_RISE_C), spent.total_s)
        self._until = now + spent.total_s
        return spent

    def clock(self, now: float) -> float:
        """The share of the full clock at which it computes."""
        if not self.bus.has_sensor:
            return 1.0
        temperature_c = self.temperature_c(now)
        return math.prod(0.5 for trip_c in TRIP_POINTS_C if temperature_c >= trip_c)

    def temperature_c(self, now: float) -> float:
        """Modelled degrees Celsius of the chip, also where the hardware has no sensor to tell them."""
        idle_s = 0.0 if self._until is None else max(0.0, now - self._until)
        return self.ambient_c + _towards(self._rise_c, IDLE_RISE_C, idle_s)

    def reset(self) -> None:
        """It lost its power, or was opened anew: nothing is resident."""
        self.resident, self._group = frozenset(), ""

    def _swap_in(self, profile: ModelProfile) -> bool:
        """Whether the parameters have to be sent."""
        if profile.name in self.resident:
            return False
        if not profile.group or profile.group != self._group:
            self.resident = frozenset()
        self.resident |= {profile.name}
        self._group = profile.group
        self.reloads += 1
        return True

    def _settle(self, now: float) -> None:
        self._rise_c = self.temperature_c(now) - self.ambient_c
        self._until = now


def _run(profile: ModelProfile, bus: Bus, *, load: bool, clock: float) -> RunTime:
    return RunTime(
        load_s=load_s(profile, bus) if load else 0.0,
        transfer_s=bus.call_s + profile.moved_bytes / bus.bytes_per_s,
        stream_s=(profile.parameter_bytes - profile.cached_bytes) / bus.bytes_per_s,
        compute_s=profile.compute_s / clock,
    )


def _towards(value: float, goal: float, seconds: float) -> float:
    return goal + (value - goal) * math.exp(-seconds / SETTLING_S)

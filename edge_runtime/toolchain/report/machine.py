"""Where a report was measured, as far as it decides the figures."""

import os
import platform
import re
from pathlib import Path

from edge_runtime.backends.tflite import runtime
from edge_runtime.toolchain.report.rows import Machine

DOT_PRODUCT = ("avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm")
"""Instructions that multiply int8 and add up in one step: VNNI and AMX (x86), dot product and matrix multiply (Arm)."""
FLAGS = ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512bw", "asimd", "sve", *DOT_PRODUCT)


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """The one that runs this; what the system doesn't tell is left empty."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    has = set(flags[1].split()) if flags else set()
    return Machine(
        cpu=name[1].strip() if name else platform.processor() or platform.machine(), architecture=platform.machine(),
        cores=_cores(), flags=[flag for flag in FLAGS if flag in has], interpreter=runtime(),
        system=f"{platform.system()}, Python {platform.python_version()}",
    )


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Buffers stay for the next upload, and what a burst leaves behind goes back to the system."""

import subprocess
import sys

BURST = """
from gateway.memory import trimmer

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

trim, before = trimmer(), resident_mb()
held = []
for _ in range(400):
    held += [bytes(90_000) for _ in range(10)], bytes(700)  # below the size from which glibc maps each piece by itself
kept = held[1::2]
del held
after = resident_mb()
trim()
print(before, after, resident_mb())
"""


def test_free_memory_below_what_is_in_use_goes_back() -> None:
    told = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, check=True).stdout
    before_mb, after_mb, trimmed_mb = map(float, told.split())
    assert after_mb - before_mb > 200, "nothing is shown where the C library gave it back by itself"
    assert trimmed_mb - before_mb < 0.2 * (after_mb - before_mb)


UPLOADS = """
import resource, sys
from gateway.memory import keep_buffers

if sys.argv[1] == "keep":
    keep_buffers()
for number in range(110):
    if number == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    chunks = [bytes([number]) * 64_000 for _ in range(6)]
    upload = b"".join(chunks)
    del chunks, upload
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_buffers_of_uploads_are_not_mapped_anew_for_each() -> None:
    def faults(way: str) -> int:
        return int(subprocess.run([sys.executable, "-c", UPLOADS, way], capture_output=True, text=True, check=True).stdout)

    assert faults("let") > 1000, "nothing is shown where the C library keeps them by itself"
    assert faults("keep") < 200

"""What a burst leaves behind goes back to the system."""

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

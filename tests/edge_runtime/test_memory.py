"""Buffers stay for the next upload or picture, and what a burst leaves behind goes back to the system."""

import os
import subprocess
import sys

from edge_runtime.memory import keeping_buffers

RESIDENT = """
def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
"""

BURST = RESIDENT + """
from edge_runtime.memory import trimmer

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
from edge_runtime.memory import keep_buffers

if sys.argv[1] == "keep":
    keep_buffers(32 * 1024 * 1024)
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


PICTURES = """
import resource
from concurrent.futures import ThreadPoolExecutor

def decode(number):
    picture = bytes([number]) * 72_000_000  # 24 megapixels

threads = ThreadPoolExecutor(2)
list(threads.map(decode, range(4)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
list(threads.map(decode, range(20)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_large_pictures_of_several_threads_are_not_mapped_anew_for_each() -> None:
    def faults(environment: dict[str, str]) -> int:
        command = [sys.executable, "-c", PICTURES]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    assert faults(plain) > 20 * 10_000, "nothing is shown where the C library keeps them by itself"
    assert faults({**plain, **keeping_buffers(1024 * 1024 * 1024)}) < 10_000


GIVEN_BACK = RESIDENT + """
import threading, time
from edge_runtime import memory

memory.EVERY_S = 0.05
threading.Thread(target=memory.give_back_for_ever, daemon=True).start()
held = [bytes([1]) * 72_000_000 for _ in range(3)]
most = resident_mb()
del held
deadline = time.monotonic() + 60
while resident_mb() > most - 200 and time.monotonic() < deadline:
    time.sleep(0.05)
print(most - resident_mb())
"""


def test_what_large_pictures_took_goes_back_once_none_comes() -> None:
    environment = {**os.environ, **keeping_buffers(1024 * 1024 * 1024)}
    told = subprocess.run([sys.executable, "-c", GIVEN_BACK], env=environment, capture_output=True, text=True, check=True).stdout
    assert float(told) > 200

"""The bare loop of benchmarks/serving.py: decode, resize, invoke, again and again, in one process with one thread, no server.

Started by it, with a JSON object: `model`, `photo`, `seconds`, and where they are true `halves` and `invoke_alone`.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.serving_process import memory_mb, take_part
from benchmarks.serving_task import Classifier

WARM_RUNS = 10


def main() -> None:
    """Runs for so many seconds, and prints how long each took, in ms."""
    task = json.loads(sys.argv[1])
    model, jpeg = Classifier(task["model"], halves=task.get("halves", False)), Path(task["photo"]).read_bytes()
    pixels = model.decoded(jpeg)
    for _ in range(WARM_RUNS):
        answer = model.classify(jpeg)
    take_part()
    took_ms = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = ended = time.perf_counter()
    while ended - began < task["seconds"]:
        started = ended
        if task.get("invoke_alone"):
            model.invoked(pixels)
        else:
            model.classify(jpeg)
        ended = time.perf_counter()
        took_ms.append(round((ended - started) * 1000, 3))
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "took_ms": took_ms, "wall_s": ended - began, "answer": [label for label, _ in answer], **memory_mb([os.getpid()]),
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "faults": after.ru_minflt - before.ru_minflt,
    }))


if __name__ == "__main__":
    main()

"""Where the objects of a job lie: all in a folder of its own, which is called by the job's id.

    input-SHA256      the cleaned upload
    RUN/mask.png      pictures of an answer, one folder for each worker's run
    answer.json       the answer: written last, and once

Nothing else lies beside these folders, but for moments what `ObjectFolder.check` puts there.
"""

import hashlib


def folder_of(job_id: str) -> str:
    """All that belongs to a job."""
    return f"{job_id}/"


def input_path(job_id: str, sha256: str) -> str:
    """The upload; by its hash, so that a message that is late finds the bytes that it means."""
    return f"{job_id}/input-{sha256}"


def answer_path(job_id: str) -> str:
    """The answer's document."""
    return f"{job_id}/answer.json"


def run_folder(job_id: str, run: str) -> str:
    """The pictures of one run."""
    return f"{job_id}/{run}/"


def picture_path(job_id: str, run: str, name: str) -> str:
    """One of them."""
    return f"{job_id}/{run}/{name}"


def sha256_of(content: bytes) -> str:
    """Hex."""
    return hashlib.sha256(content).hexdigest()

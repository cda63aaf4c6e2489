"""What the cloud says, as an analysis of ours."""

from collections.abc import Mapping
from typing import Any

from gateway.service.archive import Made
from gateway.service.cloud.ports import CloudAnswer
from gateway.service.jobs.records import Job
from gateway.service.records import Analysis
from gateway.service.routing.rules import sentence

_MADE_BY = ("model", "device", "backend", "simulated", "node", "attempts", "timings_ms", "software")
_OF_CLIPS = "devices"


class Unintelligible(Exception):
    """An answer that lacks what every answer has, or is another task's."""


def analysis_of(job: Job, answer: CloudAnswer) -> Analysis:
    """The answer to a job, without pictures. Raises Unintelligible.

    `media` tells of the file that the caller sent, and not of what left in its place; the audit log knows that.
    """
    if answer.id != job.id:
        raise Unintelligible("the answer is another task's")
    try:
        made = Made(
            answer.result, {**answer.media, "size_bytes": job.size_bytes, "sha256": job.sha256}, answer.parameters,
            _provenance(job, answer.provenance), {},
        )
        return made.record(job.tenant, job.domain, job.request_id, analysis_id=job.id)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unintelligible("the answer lacks what every answer has") from error


def _provenance(job: Job, told: Mapping[str, Any]) -> dict[str, Any]:
    made_by = {name: told[name] for name in _MADE_BY}
    if _OF_CLIPS in told:
        made_by[_OF_CLIPS] = told[_OF_CLIPS]
    opinion = {"opinion_on": job.opinion_on} if job.opinion_on else {}
    return {**made_by, "tier": "cloud", "tier_reason": sentence(job.why), **opinion}

"""The paths of missions: many files in one request, each of which becomes a job."""

from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.rest import job_schemas as schemas
from gateway.rest.body import JOB_FIELDS, parameters_from_json
from gateway.rest.calls import as_json, caller_of, context_of
from gateway.rest.consent import consents_of
from gateway.rest.documents import mission_path, mission_to_json
from gateway.rest.job_openapi import MISSION, SUBMIT_MISSION
from gateway.rest.jobs import NO_STORE, REPLAYED, desk_of, order_from, retry_after_s
from gateway.rest.parts import malformed, read_parts
from gateway.rest.prefer import IDEMPOTENCY_KEY, idempotency_key
from gateway.service.analyses import AnalysisService
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import MOST_FILES, JobDesk, Mission
from gateway.service.jobs.records import Job, JobState
from gateway.service.jobs.service import OPEN
from gateway.service.keys import Caller
from gateway.service.parameters import from_query
from gateway.service.records import new_id

MOST_FIELDS = 8

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post(
    "/domains/{domain}/missions", response_model=schemas.Mission, status_code=202, **SUBMIT_MISSION
)
async def submit_mission(request: Request, domain: str) -> Response:
    """Takes up to 100 files as one mission, each of which becomes a job of its own.

    Send multipart/form-data with one part `file` for each, and before them, where there are any, the part `parameters` (a
    JSON object, the same for all) and `callback_url`, `expires_s` or `priority` (`batch` unless given). With an
    `Idempotency-Key` K the files have the keys K/1, K/2 and so on: a mission that broke off is sent again whole, and what
    had arrived counts once. Without one, what had arrived is cancelled.
    """
    context, caller = context_of(request), await caller_of(request)
    service: AnalysisService = request.app.state.service
    service.admit(caller, domain)
    key = idempotency_key(request.headers.getlist(IDEMPOTENCY_KEY))
    parameters = from_query(request.query_params.multi_items())
    mission = _Files(desk_of(request), caller, domain, context.id, key, parameters, consents_of(request))
    try:
        async for part in read_parts(request, service.policy):
            if part.name == "file" and part.is_file:
                await mission.add(bytes(part.content))
            else:
                mission.field(part.name, bytes(part.content))
        if not mission.jobs:
            raise malformed("send at least one part named 'file', with a file name")
    except Exception:
        await mission.break_off()
        raise
    counts = {state: sum(job.state is state for job in mission.jobs) for state in JobState}
    headers = {"Location": mission_path(mission.id)} | ({REPLAYED: "true"} if mission.replayed else {})
    return as_json(mission_to_json(Mission(mission.id, counts, mission.jobs)), 202, headers)


@router.get("/missions/{mission_id}", response_model=schemas.Mission, **MISSION)
async def get_mission(request: Request, mission_id: str) -> Response:
    """A mission: how many of its jobs are in each state, and the jobs themselves, in the order of the files (the newest 200
    where it has more).
    """
    mission = await desk_of(request).mission(await caller_of(request), mission_id)
    waits = [retry_after_s(job) for job in mission.jobs if job.state in OPEN]
    headers = NO_STORE | ({"Retry-After": str(min(waits))} if waits else {})
    return as_json(mission_to_json(mission), headers=headers)


class _Files:
    """The files of one request as they come."""

    def __init__(
        self, desk: JobDesk, caller: Caller, domain: str, request_id: str, key: str, parameters: dict[str, Any],
        consents: tuple[str, ...],
    ) -> None:
        self.id = new_id()
        self.jobs: list[Job] = []
        self.replayed = False
        self._desk = desk
        self._caller = caller
        self._domain = domain
        self._request_id = request_id
        self._callers_key = key
        self._key = key or self.id  # each job has a key, which says which file it is
        self._parameters = parameters
        self._consents = consents
        self._fields = 0

    def field(self, name: str, content: bytes) -> None:
        """A part that is no file."""
        self._fields += 1
        if self.jobs or self._fields > MOST_FIELDS:
            raise malformed("parts that are no files come before the files, and are few")
        text = content.decode("utf-8", "replace")
        if name == "parameters":
            self._parameters |= parameters_from_json(text)
        elif name in JOB_FIELDS:
            self._parameters |= from_query([(name, text)])
        else:
            raise malformed(f"only the parts 'file', 'parameters', {', '.join(map(repr, JOB_FIELDS))} are taken")

    async def add(self, content: bytes) -> None:
        """The next file becomes a job. The first job says which mission it is: a request that was repeated finds it so."""
        number = len(self.jobs) + 1
        if number > MOST_FILES:
            raise malformed(f"a mission has at most {MOST_FILES} files")
        if not content:
            raise ServiceError(ErrorCode.EMPTY_BODY, f"file {number} is empty")
        order, wanted = order_from(
            self._request_id, f"{self._key}/{number}", self._parameters, priority="batch", mission=self.id,
            consents=self._consents,
        )
        receipt = await self._desk.order(self._caller, self._domain, content, wanted, order)
        if not receipt.job.mission:
            raise ServiceError(
                ErrorCode.IDEMPOTENCY_KEY_REUSED, f"the key of file {number} was used by a request that was no mission",
                parameter=IDEMPOTENCY_KEY,
            )
        self.id = receipt.job.mission
        self.replayed = receipt.replayed and (self.replayed or number == 1)
        self.jobs.append(receipt.job)

    async def break_off(self) -> None:
        """Cancels what had arrived, unless its caller has a key to send the mission again."""
        for job in self.jobs if not self._callers_key else ():
            with suppress(ServiceError):  # one that was quick is done
                await self._desk.cancel(self._caller, job.id)

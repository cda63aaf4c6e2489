"""Live streams of all callers: opened, taken up again, limited, and stored when they end."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from domains import registry
from edge_runtime.decoder import Decoder, open_stream_decoder
from edge_runtime.errors import Overloaded
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.scheduler import Priority
from gateway.service.archive import Archive
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller
from gateway.service.records import Analysis
from gateway.service.streams.events import StreamStart
from gateway.service.streams.live import LiveStream, Stream
from gateway.service.streams.session import StreamLimits, StreamSession
from gateway.service.trials import Rollouts
from gateway.service.verdicts import Verdicts, sequences_of

logger = structlog.get_logger("hedgerow.streams")

LIVE_TIMEOUT_S = 5.0
"""A live frame without an answer for so long is left out: nobody waits for it any more."""
PATIENT_TIMEOUT_S = 30.0
FASTEST_SAMPLING_FPS = 240.0
CLOSE_TIMEOUT_S = 5.0
TELL_EVERY_S, TELL_TRIES = 0.05, 20
"""How long a gateway that stops waits for its last events to be taken."""
RETRY_AFTER_S = 5.0

OpenDecoder = Callable[[str, Mapping[str, int]], Awaitable[Decoder]]
"""A decoder for a codec, within media limits by name."""


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """How many streams may be open, and for how long. `most_of_tenant`: of one tenant."""

    most: int = 16
    most_of_tenant: int = 8
    limits: StreamLimits = field(default_factory=StreamLimits)


class StreamService:
    """Use from one event loop. Methods raise ServiceError, DomainError or EdgeError."""

    def __init__(
        self, node: Node, rollouts: Rollouts, archive: Archive, policy: StreamPolicy, media_limits: Mapping[str, int], *,
        open_decoder: OpenDecoder = open_stream_decoder,
    ) -> None:
        self._node = node
        self._rollouts = rollouts
        self._archive = archive
        self._policy = policy
        self._media_limits = media_limits
        self._open_decoder = open_decoder
        self._streams: dict[str, tuple[str, LiveStream]] = {}
        """By token: the tenant, and what it has. Those that ended are kept for as long as they may be taken up."""
        self._opening: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def open_count(self) -> int:
        """Streams that have not ended."""
        return sum(not live.done.is_set() for _, live in self._streams.values())

    def admit(self, caller: Caller, domain: str) -> None:
        """Whether the caller may stream in that domain at all."""
        registry.check_name(domain)
        caller.require_analyze(domain)

    async def open(self, caller: Caller, start: StreamStart, *, request_id: str) -> Stream:
        """A new stream, and a first connection to it. Raises OVERLOADED where too many are open."""
        self.admit(caller, start.domain)
        _check(start)
        self._check_places(caller.tenant)
        self._opening[caller.tenant] = self._opening.get(caller.tenant, 0) + 1
        try:
            live = await self._make(caller, start, request_id)
        finally:
            self._opening[caller.tenant] -= 1
        self._streams[live.session.token] = caller.tenant, live
        task = asyncio.create_task(self._follow(live, caller.tenant, request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return live.connect(0, resumed=False)

    async def resume(self, caller: Caller, token: str, received_events: int) -> Stream:
        """A further connection to a stream; the one before, if it is still there, ends. Raises NOT_FOUND."""
        tenant, live = self._streams.get(token, ("", None))
        if live is None or tenant != caller.tenant:
            raise ServiceError(
                ErrorCode.NOT_FOUND, "there is no stream of that token: it may have been over for too long", parameter="token"
            )
        caller.require_analyze(live.session.start_message.domain)
        return live.connect(received_events, resumed=True)

    async def close(self) -> None:
        """Ends all streams; their verdicts are stored and told to whoever is connected."""
        self._closed = True
        for _, live in self._streams.values():
            live.end("stopping")
        waits = [asyncio.ensure_future(live.done.wait()) for _, live in self._streams.values()]
        if waits:
            await asyncio.wait(waits, timeout=CLOSE_TIMEOUT_S)
            await self._told()
        for task in (*waits, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _told(self) -> None:
        """Until those who are connected have taken the last event, for a moment."""
        for _ in range(TELL_TRIES):
            if all(live.session.outbox.empty or not live.session.attached for _, live in self._streams.values()):
                return
            await asyncio.sleep(TELL_EVERY_S)

    async def _make(self, caller: Caller, start: StreamStart, request_id: str) -> LiveStream:
        verdicts = Verdicts(start.domain, sequences_of(start.domain, self._node.models))
        now = asyncio.get_running_loop().time()
        session = StreamSession(start, verdicts, self._policy.limits, token=secrets.token_urlsafe(32), now=now)
        patient = start.policy == "all"

        async def ask(content: bytes, renew: Renew | None) -> Answer:
            return await self._rollouts.analyse(
                start.domain, content, start.parameters, request_id=request_id, tenant=caller.tenant, renew=renew,
                priority=Priority.INTERACTIVE if patient else Priority.LIVE,
                timeout_s=PATIENT_TIMEOUT_S if patient else LIVE_TIMEOUT_S,
            )

        async def store(session: StreamSession, size_bytes: int, sha256: str) -> Analysis | None:
            if not verdicts.any:
                return None
            media = {**session.media, "size_bytes": size_bytes, "sha256": sha256}
            took_s = asyncio.get_running_loop().time() - now
            made = await verdicts.made(self._node, media, took_s, draws=self._archive.keep_images)
            return await self._archive.keep(made.record(caller.tenant, start.domain, request_id), made.pictures, None)

        decoder = await self._open_decoder(start.codec, self._media_limits) if session.encoded else None
        return LiveStream(session, ask, store, decoder)

    async def _follow(self, live: LiveStream, tenant: str, request_id: str) -> None:
        """Until it has ended and can't be taken up any more."""
        session = live.session
        await live.run()
        logger.info(
            "stream ended", request_id=request_id, tenant=tenant, domain=session.start_message.domain,
            reason=session.ending, analysed=session.verdicts.analysed, received=session.next_number - 1,
        )
        await asyncio.sleep(self._policy.limits.resume_s)
        del self._streams[session.token]

    def _check_places(self, tenant: str) -> None:
        if self._closed:
            raise ServiceError(ErrorCode.UNAVAILABLE, "the gateway is stopping")
        open_now = [owner for owner, live in self._streams.values() if not live.done.is_set()]
        if len(open_now) + sum(self._opening.values()) >= self._policy.most:
            raise Overloaded(f"{len(open_now)} streams are open, which is the limit", retry_after_s=RETRY_AFTER_S)
        own = open_now.count(tenant) + self._opening.get(tenant, 0)
        if own >= self._policy.most_of_tenant:
            raise Overloaded(f"{own} streams of this tenant are open, which is its limit", retry_after_s=RETRY_AFTER_S)


def _check(start: StreamStart) -> None:
    if start.policy == "sample" and not 0 < start.sample_fps <= FASTEST_SAMPLING_FPS:
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, f"the policy 'sample' needs sample_fps, from 0 to {FASTEST_SAMPLING_FPS:g}",
            parameter="sample_fps",
        )
    if start.policy != "sample" and start.sample_fps:
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, f"sample_fps goes with the policy 'sample', not '{start.policy}'", parameter="sample_fps"
        )

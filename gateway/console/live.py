"""What `hedgerow stream` shows: a panel that stays in place, plain lines where there is no terminal, or JSON."""

import json
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.console.verdicts import headline, percent, summary, usable
from hedgerow_client import Dropped, Ended, Event, Flow, FrameResult, Interrupted, Started, Verdict

LINE_EVERY_S = 1.0
RATE_OVER_S = 2.0
NOTICES = 3
BAR = 30
_WHY = {
    "superseded": "a newer frame came first", "not_sampled": "more came than were asked for",
    "not_answered": "no device could answer in time", "link_down": "the link was down or full",
}
_ENDS = {
    "idle": "nothing came for too long", "limit": "the gateway's longest time for a stream is over",
    "stopping": "the gateway was shut down", "failed": "the stream failed", "abandoned": "nobody took the stream up",
}


class Show(ABC):
    """Where a stream is shown."""

    def sent(self, number: int) -> None:
        """A frame goes out now; called from the thread that plays."""
        del number

    @abstractmethod
    def tell(self, event: Event) -> None:
        """An event came."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something that is not of the stream's events."""

    def close(self) -> None:
        """Nothing more comes."""
        return


class JsonShow(Show):
    """One JSON object a line for each event; pictures are left out."""

    def tell(self, event: Event) -> None:
        print(json.dumps(dict(event.raw)), flush=True)

    def note(self, text: str) -> None:
        print(json.dumps({"type": "note", "text": text}), flush=True)


class State:
    """A stream as it stands."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.verdict: Mapping[str, Any] = {}
        self.last: FrameResult | None = None
        self.analysis: Mapping[str, Any] = {}
        self.end = ""
        self.connected = False
        self.age_ms = 0.0
        self.drops: Counter[str] = Counter()
        self.notices: deque[str] = deque(maxlen=NOTICES)
        self.flow: Flow | None = None
        self._sent_at: dict[int, float] = {}
        self._sent: deque[float] = deque()
        self._answered: deque[float] = deque()

    def sent(self, number: int) -> None:
        """A frame goes out now."""
        now = time.monotonic()
        self._sent.append(now)
        self._sent_at[number] = now
        self._sent_at.pop(number - 1000, None)

    def take(self, event: Event) -> None:
        """What an event changes."""
        match event:
            case Started():
                self.connected = True
                if event.resumed:
                    lost = f"; {event.lost_events} events are lost" if event.lost_events else ""
                    self.notices.append(f"connected again{lost}")
            case FrameResult():
                now = time.monotonic()
                self._answered.append(now)
                sent = self._sent_at.pop(event.number, None)
                self.age_ms = event.age_ms if sent is None else (now - sent) * 1000
                self.last = event
            case Dropped():
                self.drops[event.reason] += event.count
            case Verdict():
                self.verdict = event.raw["document"]
            case Flow():
                self.flow = event
            case Interrupted():
                self.connected = False
                self.notices.append(f"connection lost: {event.cause}")
            case Ended():
                self.end = event.reason
                self.analysis = event.analysis.raw if event.analysis else {}

    def rates(self) -> tuple[float, float]:
        """Frames sent and answered a second, lately."""
        horizon = time.monotonic() - RATE_OVER_S
        for times in (self._sent, self._answered):
            while times and times[0] < horizon:
                times.popleft()
        return len(self._sent) / RATE_OVER_S, len(self._answered) / RATE_OVER_S

    def dropped(self) -> str:
        """How many frames were left out, and why."""
        told = ", ".join(f"{count} ({_WHY.get(reason, reason)})" for reason, count in self.drops.most_common())
        return told or "none"

    def final(self) -> list[str]:
        """The outcome, in lines."""
        if not self.end:
            return []
        why = _ENDS.get(self.end)
        told = [why] if why else []
        if not self.analysis:
            return [*told, "no frame was analysed: there is no verdict"]
        told.append(summary(self.analysis["result"]))
        told += self.analysis["result"]["notices"]
        told.append(f"stored as {self.analysis['id']}; research use only, no diagnosis")
        return told


class LineShow(Show):
    """A line a second at most, and one for what must not be missed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._next = 0.0

    def sent(self, number: int) -> None:
        self._state.sent(number)

    def tell(self, event: Event) -> None:
        state = self._state
        state.take(event)
        if isinstance(event, Interrupted) or (isinstance(event, Started) and event.resumed):
            print(state.notices[-1], flush=True)
        elif isinstance(event, Verdict) and time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY_S
            at = f"{state.last.time_s:7.2f} s  " if state.last else ""
            print(f"{at}{summary(state.verdict)}", flush=True)
        elif isinstance(event, Ended):
            print(f"dropped: {state.dropped()}")
            print("\n".join(state.final()), flush=True)

    def note(self, text: str) -> None:
        print(text, flush=True)


class LiveShow(Show):
    """A panel that moves with the stream."""

    def __init__(self, state: State, console: Console) -> None:
        self._state = state
        self._live = Live(get_renderable=lambda: view(state), console=console, refresh_per_second=8)
        self._live.start()

    def sent(self, number: int) -> None:
        self._state.sent(number)

    def tell(self, event: Event) -> None:
        self._state.take(event)

    def note(self, text: str) -> None:
        self._state.notices.append(text)

    def close(self) -> None:
        self._live.stop()


def view(state: State) -> RenderableType:
    """The panel. Fits 80 columns."""
    parts: list[RenderableType] = []
    if state.end:
        parts += [Text(line, style="" if number else "bold") for number, line in enumerate(state.final())]
    else:
        parts += [_verdict(state.verdict), _bars(state.verdict)]
    parts += ["", _figures(state)]
    parts += [Text(f"! {notice}", style="yellow") for notice in state.notices]
    colour = "green" if state.connected else "yellow"
    return Panel(Group(*parts), title=Text(state.title), title_align="left", border_style="" if state.end else colour)


def _verdict(document: Mapping[str, Any]) -> Text:
    if not document:
        return Text("waiting for the first answer", style="dim")
    return Text(headline(document), style="bold yellow" if document["abstained"] else "bold")


def _bars(document: Mapping[str, Any]) -> RenderableType:
    """A bar a label with its probability, or a row a class with what was counted; below them the usable share."""
    shown = Table.grid(padding=(0, 2))
    if not document:
        return shown
    if document["kind"] == "running_classification":
        for row in document["probabilities"]:
            shown.add_row(row["label"], _bar(row["probability"], "cyan"), percent(row["probability"]))
    else:
        for row in document["classes"]:
            shown.add_row(row["label"], f"{row['count']} counted, {row['visible']} in sight", f"{row['mean_area_fraction']:.1%}")
    shown.add_row("usable now", _bar(document["usable_share"], "green"), f"{document['usable_share']:.0%}")
    return shown


def _bar(share: float, colour: str) -> ProgressBar:
    return ProgressBar(1.0, share, width=BAR, complete_style=colour, finished_style=colour)


def _figures(state: State) -> Table:
    sent, answered = state.rates()
    shown = Table.grid(padding=(0, 2))
    last = state.last
    newest = "none yet"
    if last is not None:
        doubt = f" ({last.unusable})" if last.unusable else ""
        newest = f"frame {last.number}, {last.time_s:.2f} s{doubt}, {state.age_ms:.0f} ms old when it came"
    shown.add_row(Text("answered", style="dim"), f"{answered:.1f} of {sent:.1f} a second" if sent else f"{answered:.1f} a second")
    shown.add_row(Text("newest", style="dim"), newest)
    shown.add_row(Text("frames", style="dim"), usable(state.verdict) if state.verdict else "none")
    shown.add_row(Text("dropped", style="dim"), state.dropped())
    return shown

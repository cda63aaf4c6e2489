"""The log of a node on its own, in the gateway's form: one JSON object a line on standard error, or lines for people."""

import json
import logging
import sys
import time


class Formatter(logging.Formatter):
    """Writes no exception's text, which could quote an input: only its class. `extra={"fields": {...}}` adds to a line."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = record.exc_info[0].__name__
        if self._json:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
            line = {**fields, "event": record.getMessage(), "level": record.levelname.lower(), "timestamp": stamp}
            return json.dumps(line, default=str)
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        told = "".join(f" {key}={value}" for key, value in fields.items())
        return f"{stamp} {record.levelname.lower():7} {record.getMessage()}{told}"


def configure(form: str) -> None:
    """`form` is `json` or `console`. Libraries are heard from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("edge_runtime").setLevel(logging.INFO)

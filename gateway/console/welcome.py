"""What `hedgerow serve` says once it is ready: where it listens, and on the first start lines to paste."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from gateway.app import Started


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of samples/ and how to ask for it."""

    file: str
    domain: str
    content_type: str
    exam: str = ""
    """Empty where the domain has none, or where the DICOM file says it itself."""


SAMPLES = (
    Sample("lung_scan.png", "pathology", "image/png", "lung_ultrasound"),
    Sample("breast_scan.jpg", "pathology", "image/jpeg", "breast_ultrasound"),
    Sample("breast_scan.dcm", "pathology", "application/dicom"),
    Sample("field.jpg", "crop_weed", "image/jpeg"),
)

CLIP = "lung_clip.mpeg"


def curl_line(sample: Sample, folder: Path, started: Started, key: str) -> str:
    """A line for a shell that sends the sample over REST."""
    query = "?" + urlencode({"exam": sample.exam}) if sample.exam else ""
    return (
        f'curl -sS -H "Authorization: Bearer {key}" -H "Content-Type: {sample.content_type}" '
        f'--data-binary @{folder / sample.file} "{started.rest_url}/v1/domains/{sample.domain}/analyses{query}"'
    )


def grpc_line(sample: Sample, folder: Path, started: Started, key: str, buf: str) -> str:
    """A line for a shell that sends the sample over gRPC by reflection, with buf as the client."""
    head = json.dumps({"domain": sample.domain, "parameters": {"exam": sample.exam} if sample.exam else {}})
    opening = head[:-1].replace('"', '\\"') + ', \\"content\\": \\"'
    return (
        f'(printf "{opening}"; base64 -w0 {folder / sample.file}; printf "\\"}}") | {buf} curl --http2-prior-knowledge '
        f'--protocol grpc -H "Authorization: Bearer {key}" -d @- '
        f"http://{started.grpc_address}/hedgerow.v1.AnalysisService/Analyze"
    )


def stream_line(folder: Path, started: Started, key: str, hedgerow: str) -> str:
    """A line for a shell that plays the sample clip as a live stream."""
    return (
        f"HEDGEROW_KEY={key} {hedgerow} stream {folder / CLIP} --domain pathology --exam lung_ultrasound "
        f"--url {started.rest_url}"
    )


def welcome(started: Started, samples: Path, buf: str, hedgerow: str) -> str:
    """The text. With a first key: the key, once, a REST and a gRPC line for each sample that is there, and one that streams.

    `buf`, `hedgerow`: how the commands are called here.
    """
    lines = [
        "",
        f"Hedgerow is ready.  REST {started.rest_url}  (API page: {started.rest_url}/docs)   gRPC {started.grpc_address}",
        f"Nodes and devices: {started.rest_url}/status",
        "Research use only: no answer is a diagnosis.",
    ]
    if started.simulated:
        lines += ["", f"SIMULATED, no real devices: {', '.join(started.simulated)}. Their answers are real, their times modelled."]
    key = started.first_key
    if key is None:
        return "\n".join([*lines, "API keys: `hedgerow keys list`, `hedgerow keys create`.", ""])
    lines += ["", "Your first API key, shown this once and stored only as a hash:", "", f"    {key}", ""]
    for sample in SAMPLES:
        if (samples / sample.file).is_file():
            lines += [
                f"{sample.file}, over REST and over gRPC:", "",
                curl_line(sample, samples, started, key), "",
                grpc_line(sample, samples, started, key, buf), "",
            ]
    if (samples / CLIP).is_file():
        lines += [f"{CLIP}, as a live stream:", "", stream_line(samples, started, key, hedgerow), ""]
    return "\n".join(lines)

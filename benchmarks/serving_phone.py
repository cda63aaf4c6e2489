"""benchmarks/serving.py --phone: photos of 12 megapixels. The gateway decodes them at reduced scale where the network's input allows
it, the bare loop decodes them whole; both must give the same answers.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import serving_gateway as gateways
from benchmarks.serving_photos import photo
from benchmarks.serving_rounds import Plan, loaded, loops
from benchmarks.serving_servers import Site
from benchmarks.serving_task import Classifier

WIDTH, HEIGHT = 4000, 3000
MIN_SIDE = 448
"""Twice the network's input: what is left to resize is still smoothed."""
AT_ONCE = 4


def run(folder: Path, tflite: Path, data: Path, cores: list[int], plan: Plan, *, rounds: int) -> dict[str, Any]:
    """Answers for every photo in the data folder's `field_exif`, whole and reduced, then speed with the first."""
    photos = []
    for number, source in enumerate(sorted((data / "field_exif" / "files").glob("*.jpg"))):
        photos.append(folder / f"phone-{number}.jpg")
        photos[-1].write_bytes(photo(source, WIDTH, HEIGHT))
    classifier = Classifier(str(tflite))
    whole = [[label for label, _ in classifier.classify(path.read_bytes())] for path in photos]
    site = Site(folder, tflite, photos[0], b"", cores)
    gateways.package(site.models, site.reencoded, name=gateways.REDUCED, min_side=MIN_SIDE)
    with gateways.running(site.path, site.models, site.new_folder(), cores) as gateway, gateway.rest() as client:
        reduced = []
        for path in photos:
            asked = client.post(f"/v1/domains/{gateways.DOMAIN}/analyses", params={"model": gateways.REDUCED}, content=path.read_bytes())
            reduced.append([row["label"] for row in asked.raise_for_status().json()["result"]["probabilities"]][:len(whole[0])])
    found = []
    for _ in range(rounds):
        bare = loops(site, plan, ["bare loop"])["bare loop"]
        with gateways.running(site.path, site.models, site.new_folder(), cores) as gateway:
            faces = {}
            for face in ("REST", "gRPC"):
                task = (gateways.rest_task(gateway, photos[0], model=gateways.REDUCED) if face == "REST" else
                        gateways.grpc_task(gateway, photos[0], folder / "phone.bin", model=gateways.REDUCED))
                faces[face] = loaded(gateway.process.pid, task, plan, AT_ONCE)
                del faces[face]["answer"]
        found.append({"bare": bare, "faces": faces})
    return {
        "photos": [path.stat().st_size for path in photos], "rounds": found, "same_first": _shared(whole, reduced, 1),
        "same_five": _shared(whole, reduced, len(whole[0])),
    }


def table(report: Mapping[str, Any]) -> str:
    """As Markdown."""
    count = len(report["photos"])
    said = (f"Of {count} photos of {WIDTH}x{HEIGHT}, {report['same_first']} have the same first label as when they are decoded whole, "
            f"{report['same_five']} the same five in the same order.")
    lines = [said, "",
             f"| face, {AT_ONCE} in flight | requests/s, of the bare loop | CPU a request, of the bare loop |", "|---|---|---|"]
    for face in report["rounds"][0]["faces"]:
        ratios = [statistics.median(one["faces"][face][key] / one["bare"][key] for one in report["rounds"]) for key in ("per_s", "cpu_ms")]
        lines.append(f"| {face} | {ratios[0]:.3f} | {ratios[1]:.3f} |")
    return "\n".join(lines)


def _shared(whole: list[list[str]], reduced: list[list[str]], first: int) -> int:
    return sum(one[:first] == other[:first] for one, other in zip(whole, reduced, strict=True))

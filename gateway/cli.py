"""The command `hedgerow`. Each command imports what it needs when it runs, so that --help is quick."""

import asyncio
import enum
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from gateway.settings import ClientSettings, Settings

if TYPE_CHECKING:
    from gateway.console.models import ModelsClient
    from gateway.service.keys import KeyService
    from gateway.store.database import Database
    from hedgerow_client import Ended

app = typer.Typer(
    name="hedgerow", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A vision inference gateway for the clinic and the field. Research use only: no answer is a diagnosis.",
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
app.add_typer(keys_app, name="keys")
models_app = typer.Typer(help="Model packages: list them; install, activate and roll back versions on a running gateway.")
app.add_typer(models_app, name="models")
webhooks_app = typer.Typer(no_args_is_help=True, help="Webhooks: the secret that signs them, and what became of each.")
app.add_typer(webhooks_app, name="webhooks")
audit_app = typer.Typer(no_args_is_help=True, help="The log of what left for the cloud: check that it is whole, list it.")
app.add_typer(audit_app, name="audit")
cloud_app = typer.Typer(no_args_is_help=True, help="The cloud tier: run a worker of it.")
app.add_typer(cloud_app, name="cloud")

Files = Annotated[list[Path], typer.Argument(help="Files, or folders to search for pictures and clips.", show_default=False)]
Domain = Annotated[str, typer.Option("--domain", "-d", help="The domain, such as pathology or crop_weed.")]
Data = Annotated[Path, typer.Option("--data", help="Folder of the data sets; docs/training.md says what is in it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Model = Annotated[str, typer.Argument(help="The model's name.", show_default=False)]
GatewayUrl = Annotated[str, typer.Option("--url", help="The running gateway, http://127.0.0.1:8080 unless given here or as HEDGEROW_URL.")]
AdminKey = Annotated[str, typer.Option("--key", help="API key with the scope admin; better given as HEDGEROW_KEY.")]


class ActivationMode(enum.StrEnum):
    """How a version is put into service."""

    FULL = "full"
    SHADOW = "shadow"
    CANARY = "canary"


class Consent(enum.StrEnum):
    """What may happen with a file beyond its answer."""

    CLOUD = "cloud"
    LEARNING = "learning"


class StreamPolicy(enum.StrEnum):
    """Which frames of a stream are analysed."""

    LATEST = "latest"
    ALL = "all"
    SAMPLE = "sample"


class StreamCodec(enum.StrEnum):
    """How frames go to the gateway."""

    PICTURES = "pictures"
    AUTO = "auto"


def main() -> None:
    """Entry point of the console script."""
    app()


@app.command()
def serve() -> None:
    """Run the gateway: REST and gRPC, with this machine's devices and the nodes that it is given.

    Settings come from the environment as HEDGEROW_<NAME>; docs/settings.md lists them. The first start makes an API key
    and prints it once.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # workers are started with exec: gRPC need not follow a fork
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write into the log in a form of its own
    import uvloop

    from gateway import logs
    from gateway.app import StartError
    from gateway.app import serve as run
    from gateway.console.welcome import welcome

    settings = _settings()
    logs.configure(settings.log_format, settings.log_level)
    try:
        uvloop.run(run(settings, lambda started: print(welcome(started, Path("samples"), _called("buf"), _called("hedgerow")), flush=True)))
    except StartError as error:
        _fail(str(error))


@app.command()
def analyze(
    files: Files,
    domain: Domain,
    exam: Annotated[str, typer.Option(help="pathology: the exam; may be left out for DICOM files that say it.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, any number of times.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a JSON file and an overlay picture of each file.")] = None,
    url: Annotated[str, typer.Option(help="A running gateway, such as http://127.0.0.1:8080 (or HEDGEROW_URL). Without one, the models run in this program.")] = "",
    key: Annotated[str, typer.Option(help="API key for the gateway; better given as HEDGEROW_KEY.")] = "",
    consent: Annotated[list[Consent] | None, typer.Option(help="What may happen with the files, any number of times. cloud: they may leave for the cloud, de-identified. learning: they may be kept to learn from. Both where the gateway's rules let it too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Analyse files and folders, through a running gateway or without one.

    Exits with 1 when any file failed, and says which.
    """
    from gateway.app import node_config
    from gateway.console.analyze import analyse_all, open_analyser, table
    from gateway.console.files import collect

    client = ClientSettings()
    if consent and not (url or client.url):
        _fail("--consent goes to a gateway, given with --url or as HEDGEROW_URL; without one nothing leaves or is kept")
    parameters = _parameters([f"exam={exam}", *(parameter or [])] if exam else parameter or [])
    console, settings = Console(stderr=True), _settings()
    try:
        items = list(collect(files))
    except FileNotFoundError as error:
        _fail(f"there is no file or folder {error}")
    if not items:
        _fail("no pictures or clips found")

    async def run() -> list[Any]:
        async with open_analyser(
            url or client.url, key or client.key, node_config(settings), clip_frames=settings.clip_frames, consents=consent or ()
        ) as analyser:
            return await analyse_all(analyser, items, domain, parameters, out, console)

    outcomes = asyncio.run(run())
    failed = [outcome for outcome in outcomes if outcome.document is None]
    if as_json:
        print(json.dumps([{"file": str(o.item.path), "analysis": o.document, "error": o.error or None} for o in outcomes], indent=2))
    else:
        Console().print(table(outcomes))
    if failed:
        console.print(f"{len(failed)} of {len(outcomes)} failed:")
        for outcome in failed:
            console.print(f"  {outcome.item.path}: {outcome.error}", markup=False, highlight=False)
        raise typer.Exit(1)


@app.command()
def stream(
    source: Annotated[str, typer.Argument(help="A video file, a camera (/dev/video0), or an rtsp:// or http:// URL.", show_default=False)],
    domain: Domain,
    exam: Annotated[str, typer.Option(help="pathology: the exam.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, any number of times.")] = None,
    policy: Annotated[StreamPolicy, typer.Option(help="latest: the newest frame goes first, older ones are dropped. all: none is, the source waits. sample: --fps frames a second.")] = StreamPolicy.LATEST,
    fps: Annotated[float, typer.Option(min=0, help="With --policy sample: frames a second of media time.")] = 0.0,
    codec: Annotated[StreamCodec, typer.Option(help="pictures: each frame as JPEG. auto: the source's own H.264, HEVC or MPEG-2 where it has one.")] = StreamCodec.PICTURES,
    speed: Annotated[float, typer.Option(min=0, help="Of a file: 2 plays it twice as fast, 0 as fast as it goes.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write the annotated video here (.mp4, .mov or .mkv).", show_default=False)] = None,
    url: GatewayUrl = "",
    grpc: Annotated[str, typer.Option("--grpc", help="HOST:PORT of the gateway's gRPC, to stream over that instead of WebSocket.")] = "",
    key: Annotated[str, typer.Option(help="API key for the gateway; better given as HEDGEROW_KEY.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
) -> None:
    """Play a video file or a camera to a running gateway and see its answers live.

    Ctrl-C ends the stream, and the verdict on what was seen still comes. Exits with 1 where the stream failed.
    """
    from gateway.console.player import SourceError, open_source
    from gateway.console.stream import Job, open_show, stream_source
    from hedgerow_client import AsyncClient, HedgerowError

    if (policy is StreamPolicy.SAMPLE) != (fps > 0):
        _fail("--policy sample and --fps go together")
    settings = ClientSettings()
    job = Job(
        domain, _parameters([f"exam={exam}", *(parameter or [])] if exam else parameter or []), policy.value, fps,
        own_codec=codec is StreamCodec.AUTO, speed=speed, out=out,
    )

    async def run() -> "Ended":
        where = f"grpc://{grpc}" if grpc else url or settings.url or "http://127.0.0.1:8080"
        async with AsyncClient(where, key or settings.key) as client:
            return await stream_source(client, opened, job, show)

    try:
        with open_source(source) as opened:
            show = open_show(" · ".join(filter(None, (domain, exam, Path(source).name))), Console(), as_json=as_json)
            try:
                ended = asyncio.run(run())
            finally:
                show.close()
    except (HedgerowError, SourceError, ValueError) as error:
        _fail(str(error))
    if ended.reason == "failed":
        _fail("the stream failed")


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def node(context: typer.Context) -> None:
    """Run this machine's devices for gateways elsewhere: `hedgerow node serve --help`."""
    # For --help and for whoever starts this file: gateway/entry.py goes there without the gateway's libraries.
    from edge_runtime.server.command import main as run

    run(context.args)


@app.command()
def nodes(
    watching: Annotated[bool, typer.Option("--watch", help="Go on, once a second, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    url: Annotated[str, typer.Option(help="The running gateway, http://127.0.0.1:8080 unless given here or as HEDGEROW_URL.")] = "",
    key: Annotated[str, typer.Option(help="API key with the scope nodes or admin; better given as HEDGEROW_KEY.")] = "",
) -> None:
    """Show the nodes of a running gateway: devices, state, temperature, work, faults.

    Exits with 1 when a node or a device is out of service.
    """
    from gateway.console.nodes import NodesClient, NodesUnknown, all_in_service, tables, watch

    client = ClientSettings()
    if not (key or client.key):
        _fail("give an API key as HEDGEROW_KEY; `hedgerow keys create --scope nodes` makes one")
    asked = NodesClient(url or client.url or "http://127.0.0.1:8080", key or client.key)
    try:
        if watching:
            watch(asked.nodes, Console(), as_json=as_json)
            return
        found = asked.nodes()
    except NodesUnknown as error:
        _fail(str(error))
    print(json.dumps({"nodes": found}, indent=2)) if as_json else Console().print(tables(found))
    if not all_in_service(found):
        raise typer.Exit(1)


@app.command()
def simulate(
    device: Annotated[str, typer.Argument(help="A simulated device, such as simulated:usb3.")],
    fault: Annotated[str, typer.Argument(help="absent, unplugged, hung, slow, wrong, crash or hot; none ends it.")],
    for_s: Annotated[float | None, typer.Option("--for", help="Seconds after which it is over by itself.")] = None,
    factor: Annotated[float, typer.Option(help="slow: how many times as long each run takes.")] = 10.0,
    data: Annotated[Path | None, typer.Option("--data", help="The data folder of the gateway or node that has the device, where it isn't HEDGEROW_DATA_DIR.")] = None,
) -> None:
    """Have a simulated Edge TPU do something wrong, at once and until told otherwise.

    docs/devices.md says what each fault does.
    """
    from edge_runtime.devices import parse_device
    from edge_runtime.simulated_faults import command_fault, faults_file

    try:
        spec = parse_device(device)
        if spec.backend != "simulated":
            _fail(f"{device} is not simulated: nothing can be commanded there")
        file = faults_file((data or _settings().data_dir) / "simulated", spec.name)
        command_fault(file, fault, for_s=for_s, factor=factor)
    except ValueError as error:
        _fail(str(error))
    lasts = "" if fault == "none" else f" for {for_s:g} s" if for_s is not None else f" until `hedgerow simulate {device} none`"
    print(f"{device}: {fault}{lasts}")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """Without a command: list the packages that come with this program."""
    if context.invoked_subcommand is None:
        list_models(as_json)


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the model packages that come with this program, with why any is refused."""
    from gateway.console.catalogue import installed, models_table

    found, _ = installed(_settings())
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(models_table(found))
    if any(model["state"] == "refused" for model in found):
        raise typer.Exit(1)


@models_app.command("install")
def install_model(
    package: Annotated[Path, typer.Argument(help="The package's folder, or a ZIP of it.", show_default=False)],
    url: GatewayUrl = "",
    key: AdminKey = "",
) -> None:
    """Send a package to every node of a running gateway. Nothing is served by it until it is activated."""
    from gateway.console.models import ModelsRefused, archive_of

    asked = _models_client(url, key)
    try:
        installed = asked.install(archive_of(package))
    except ModelsRefused as error:
        _fail(str(error))
    name, version = installed["model"], installed["version"]
    print(f"{name} {version} is installed. Next: `hedgerow models activate {name} {version}`, with --mode shadow to try it first.")


@models_app.command("activate")
def activate_model(
    model: Model,
    version: Annotated[str, typer.Argument(help="An installed version, or the one that came with the program.", show_default=False)],
    mode: Annotated[ActivationMode, typer.Option(help="full: it answers all. shadow: it runs beside and answers nobody. canary: it answers a share.")] = ActivationMode.FULL,
    share: Annotated[float | None, typer.Option(help="canary: which share of the callers it answers; 0.05 unless given.")] = None,
    allowed_disagreement: Annotated[float | None, typer.Option(help="shadow and canary: it is taken out when it surely disagrees in more than this share; 0.1 unless given.")] = None,
    url: GatewayUrl = "",
    key: AdminKey = "",
) -> None:
    """Put a version into service, or on trial beside the one in service, while requests go on."""
    from gateway.console.models import ModelsRefused, status_view

    asked = _models_client(url, key)
    try:
        status = asked.activate(model, version, mode=mode.value, share=share, allowed_disagreement=allowed_disagreement)
    except ModelsRefused as error:
        _fail(str(error))
    Console().print(status_view(status))


@models_app.command("rollback")
def roll_back_model(model: Model, url: GatewayUrl = "", key: AdminKey = "") -> None:
    """End the trial where one is on, else put the version before into service again."""
    from gateway.console.models import ModelsRefused, status_view

    asked = _models_client(url, key)
    try:
        status = asked.rollback(model)
    except ModelsRefused as error:
        _fail(str(error))
    Console().print(status_view(status))


@models_app.command("status")
def model_status(
    model: Annotated[str, typer.Argument(help="The model; all that are served where it is left out.")] = "",
    disagreements: Annotated[int, typer.Option(min=0, max=200, help="List that many inputs that two versions answered differently.")] = 0,
    as_json: AsJson = False,
    url: GatewayUrl = "",
    key: AdminKey = "",
) -> None:
    """Show the versions of a running gateway's models, trials with their counters, and the last rollback."""
    from gateway.console.models import ModelsRefused, disagreements_table, status_view

    asked = _models_client(url, key)
    try:
        found = [asked.status(name) for name in ([model] if model else asked.names())]
        listed = {row["model"]: asked.disagreements(row["model"], disagreements) for row in found} if disagreements else {}
    except ModelsRefused as error:
        _fail(str(error))
    if as_json:
        print(json.dumps([{**row, "disagreements": listed.get(row["model"], [])} for row in found], indent=2))
        return
    for row in found:
        Console().print(status_view(row))
        if listed.get(row["model"]):
            Console().print(disagreements_table(listed[row["model"]]))


@app.command()
def domains(as_json: AsJson = False) -> None:
    """List the domains, with what callers may say to each."""
    from gateway.console.catalogue import domains_table, installed

    _, found = installed(_settings())
    print(json.dumps(found, indent=2)) if as_json else Console().print(domains_table(found))


@app.command()
def plan(
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="NAME=REQUESTS_PER_SECOND, a package's name or a TFLite file; any number of times. docs/planning.md lists what may follow, such as ,deadline=0.5.")] = None,
    device: Annotated[list[str] | None, typer.Option("--device", help="cpu, simulated:usb3, simulated:usb2 or simulated:pcie; any number of times, also the same one.")] = None,
    deadline: Annotated[float, typer.Option(help="Seconds in which a request must be answered.")] = 1.0,
    seconds: Annotated[float, typer.Option(help="How long a time is simulated.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Of the times of the requests.")] = 7,
    cores: Annotated[int | None, typer.Option(help="Of the CPU; by default this machine's.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what to expect of models on devices: latency, refusals, load, placement. A simulation from published figures."""
    from edge_runtime.embedded import package_folders
    from edge_runtime.planner import plan as run
    from gateway.console.plan import assumptions, plan_tables, plan_to_json
    from gateway.console.plan_input import package_files, parse_devices, parse_model

    try:
        devices = parse_devices(device or [], cores)
        packages = package_files(package_folders(_settings().models_dirs))
        on_cpu = any(not one.bus for one in devices)
        models = [parse_model(text, packages, deadline, on_cpu=on_cpu) for text in model or []]
        found = run(models, devices, seconds=seconds, seed=seed)
    except ValueError as error:
        _fail(str(error))
    told = assumptions(models, devices, seconds, seed)
    if as_json:
        print(json.dumps(plan_to_json(found, models, devices, told), indent=2))
    else:
        Console().print(plan_tables(found, models, devices, told))


@app.command()
def train(
    domain: Annotated[str, typer.Argument(help="pathology or crop_weed")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder that the packages are written to.")] = Path("var/models"),
    only: Annotated[str, typer.Option(help="Train this one package of the domain.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 7,
    epochs: Annotated[int | None, typer.Option(help="Fewer or more epochs than the recipe's.")] = None,
) -> None:
    """Train a domain's models and write their packages. Needs TensorFlow: `make train` sets it up.

    Goes on where it was stopped.
    """
    from importlib.util import find_spec

    if find_spec("tensorflow") is None:
        _fail("training needs TensorFlow, which is not installed here: `make train DOMAIN=... DATA=...` sets it up")
    from domains.errors import UnknownDomain
    from edge_runtime.toolchain.train import train as run

    try:
        run(domain, data, out=out, seed=seed, only=only or None, epochs=epochs)
    except (UnknownDomain, ValueError) as error:
        _fail(str(error))
    except FileNotFoundError as error:
        _fail(_lacking(error))


@app.command()
def evaluate(
    domain: Annotated[str, typer.Argument(help="pathology or crop_weed")],
    data: Data,
    variant: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    models_dir: Annotated[Path | None, typer.Option("--models", help="Measure the packages in this folder instead of the installed ones.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a domain's models on held-out data, over the flow that the gateway runs."""
    from domains.errors import UnknownDomain
    from edge_runtime.embedded import package_folders
    from edge_runtime.errors import PackageError
    from edge_runtime.folders import find_packages
    from edge_runtime.toolchain.evaluate import evaluate as run
    from gateway.console.catalogue import figures_table

    packages = list(find_packages([models_dir])) if models_dir else package_folders(_settings().models_dirs)
    try:
        report = run(domain, data, packages=packages, variant=variant, say=lambda line: print(line, file=sys.stderr))
    except (UnknownDomain, PackageError) as error:
        _fail(str(error))
    except FileNotFoundError as error:
        _fail(_lacking(error))
    print(json.dumps(report, indent=2)) if as_json else Console().print(figures_table(report))


@app.command()
def statistics(
    domain: Annotated[str, typer.Argument(help="pathology or crop_weed")],
    data: Data,
    variant: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    models_dir: Annotated[Path | None, typer.Option("--models", help="Measure the packages in this folder instead of the installed ones.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put them into the packages' model.toml, which `hedgerow drift` compares with.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure what a domain's models see and say where they were made, over the flow that the gateway runs."""
    from domains.errors import UnknownDomain
    from edge_runtime.embedded import package_folders
    from edge_runtime.errors import PackageError
    from edge_runtime.folders import find_packages
    from edge_runtime.toolchain.manifest import add_statistics
    from edge_runtime.toolchain.statistics import statistics as run
    from gateway.console.drift import statistics_table, statistics_to_json

    packages = list(find_packages([models_dir])) if models_dir else package_folders(_settings().models_dirs)
    try:
        found = run(domain, data, packages=packages, variant=variant, say=lambda line: print(line, file=sys.stderr))
        for folder, measured in found.items() if write else ():
            add_statistics(folder, measured)
    except (UnknownDomain, PackageError) as error:
        _fail(str(error))
    except FileNotFoundError as error:
        _fail(_lacking(error))
    print(json.dumps(statistics_to_json(found), indent=2)) if as_json else Console().print(statistics_table(found))


@app.command("export-hard-cases")
def export_hard_cases(
    out: Annotated[Path, typer.Option("--out", help="The folder; one of an earlier export is gone on with.", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="coco or dicom.")] = "coco",
    tenant: Annotated[str, typer.Option(help="Of this tenant alone.")] = "",
    domain: Annotated[str, typer.Option(help="Of this domain alone.")] = "",
    reason: Annotated[str, typer.Option(help="unsure, abstained or disagreement alone.")] = "",
    since: Annotated[str, typer.Option(help="Found since then: a date such as 2026-01-31, or a time.")] = "",
    as_json: AsJson = False,
) -> None:
    """Export pictures that were set aside, de-identified, as a data set to be labelled.

    What can't be de-identified is held back and listed with the reason. Running it again adds what is new.
    """
    from gateway.console.export_cases import chosen_cases, export, export_view
    from gateway.console.export_form import ExportRefused

    try:
        chosen = chosen_cases(tenant=tenant, domain=domain, reason=reason, since=since)
        done = export(_settings(), _open_database(), out, form, chosen, lambda line: print(line, file=sys.stderr))
    except ExportRefused as error:
        _fail(str(error))
    print(json.dumps(done.to_json(), indent=2)) if as_json else Console().print(export_view(done))


@app.command()
def drift(
    model: Annotated[str, typer.Argument(help="The model's name; all that have training statistics where it is left out.", show_default=False)] = "",
    last: Annotated[int, typer.Option(help="Of how many answers, the newest.")] = 500,
    tenant: Annotated[str, typer.Option(help="Whose answers.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Compare what models see and say now with what they saw and said in training.

    Reads the stored answers; docs/learning.md says what the bands mean. Exits with 1 where a model drifts largely.
    """
    from gateway.console.drift import DriftUnknown, drift_view, reports
    from gateway.rest.drift import report_to_json

    try:
        found = reports(_settings(), _open_database(), model=model, tenant=tenant, last=last)
    except DriftUnknown as error:
        _fail(str(error))
    if as_json:
        print(json.dumps([report_to_json(report) for report in found], indent=2))
    else:
        for report in found:
            Console().print(drift_view(report))
    if any(report.band == "large" for report in found):
        raise typer.Exit(1)


@keys_app.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="Whose data the key sees.")] = "default",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="read, admin, nodes, analyze:DOMAIN or analyze:*; any number of times.")] = None,
) -> None:
    """Make a key. It is shown once and stored only as a hash."""
    from gateway.service.errors import ServiceError

    try:
        text, _ = _open_keys().create(tenant=tenant, name=name, scopes=scope or ["read", "analyze:*"])
    except ServiceError as error:
        _fail(str(error))
    print(text)


@keys_app.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    shown = Table()
    for column in ("id", "tenant", "name", "scopes", "created", "revoked"):
        shown.add_column(column)
    for key in _open_keys().all():
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        shown.add_row(key.id, key.tenant, key.name, " ".join(sorted(key.scopes)), f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    Console().print(shown)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")]) -> None:
    """End a key. A running gateway refuses it within 2 seconds."""
    if not _open_keys().revoke(key_id):
        _fail("there is no active key of that id")
    print(f"key {key_id} is revoked")


@webhooks_app.command("secret")
def webhook_secret(
    tenant: Annotated[str, typer.Option(help="Whose webhooks it signs.")] = "default",
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one. The one before signs as well for 24 hours more.")] = False,
) -> None:
    """Print the secret that signs a tenant's webhooks; it is made at first need."""
    from gateway.console.webhooks import WebhooksRefused, remark, secret_of

    try:
        secrets = secret_of(_open_database(), tenant, rotate=rotate)
    except WebhooksRefused as error:
        _fail(str(error))
    print(secrets.current)
    if remark(secrets):
        print(remark(secrets), file=sys.stderr)


@webhooks_app.command("log")
def webhook_log(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    tenant: Annotated[str, typer.Option(help="Whose job it is.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Show each delivery of a job's result: attempts, the last answer or error, the next try."""
    from gateway.console.webhooks import WebhooksRefused, deliveries_of, deliveries_table
    from gateway.rest.documents import deliveries_to_json

    try:
        found = deliveries_of(_open_database(), tenant, job)
    except WebhooksRefused as error:
        _fail(str(error))
    if as_json:
        print(json.dumps(deliveries_to_json(found), indent=2))
    elif found:
        Console().print(deliveries_table(found))
    else:
        print("nothing is delivered for this job: its request named no callback_url, or it has not ended")


@audit_app.command("verify")
def verify_audit(
    anchor: Annotated[str, typer.Option(help="A last hash that an earlier run printed: checks that it is still in the log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Walk the audit log and name the first entry that isn't as it was written.

    Entries cut off the end show only against an anchor: note the last hash somewhere else from time to time. Exits with 1
    when the log isn't whole.
    """
    from gateway.console.audit import told, verdict_to_json, verified

    verdict = verified(_open_database(), anchor)
    print(json.dumps(verdict_to_json(verdict), indent=2) if as_json else told(verdict))
    if not verdict.is_whole:
        raise typer.Exit(1)


@audit_app.command("list")
def list_audit(
    last: Annotated[int, typer.Option(min=1, help="How many entries, newest first.")] = 50,
    tenant: Annotated[str, typer.Option(help="Of this tenant alone.")] = "",
    analysis: Annotated[str, typer.Option(help="Of this analysis alone.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what left: when, why, where to and in which form."""
    from gateway.console.audit import departures, entries_table, entry_to_json

    found = departures(_open_database(), last=last, tenant=tenant, analysis_id=analysis)
    if as_json:
        print(json.dumps([entry_to_json(entry) for entry in found], indent=2))
    else:
        Console().print(entries_table(found))


@cloud_app.command("worker")
def cloud_worker() -> None:
    """Answer what gateways send to the cloud tier, with the float models, until SIGTERM.

    Settings come from the environment as HEDGEROW_<NAME>, as for the gateways; docs/cloud.md says which count. What runs is
    finished before it ends. A worker that is killed loses nothing.
    """
    from gateway import logs
    from gateway.console.cloud import CloudRefused, work

    settings = _settings()
    logs.configure(settings.log_format, settings.log_level)
    try:
        status = work(settings)
    except CloudRefused as error:
        _fail(str(error))
    raise typer.Exit(status)


def _models_client(url: str, key: str) -> "ModelsClient":
    from gateway.console.models import ModelsClient

    client = ClientSettings()
    if not (key or client.key):
        _fail("give an API key as HEDGEROW_KEY; `hedgerow keys create --scope admin` makes one")
    return ModelsClient(url or client.url or "http://127.0.0.1:8080", key or client.key)


def _called(command: str) -> str:
    """How a command that lies beside this Python is called from here."""
    beside = Path(sys.executable).with_name(command)
    return str(beside.relative_to(Path.cwd())) if beside.is_file() and beside.is_relative_to(Path.cwd()) else command


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for item in error.errors():
            setting, *place = map(str, item["loc"])
            inside = f", {'.'.join(place)}" if place else ""
            print(f"hedgerow: HEDGEROW_{setting.upper()}{inside}: {item['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        raise typer.Exit(2) from error


def _open_database() -> "Database":
    from gateway.app import StartError, open_configured

    try:
        return open_configured(_settings())
    except StartError as error:
        _fail(str(error))


def _open_keys() -> "KeyService":
    from gateway.app import StartError, open_keys

    try:
        return open_keys(_settings())
    except StartError as error:
        _fail(str(error))


def _lacking(error: FileNotFoundError) -> str:
    missing = Path(*Path(str(error.filename or error)).parts[-2:])
    return f"the data folder lacks {missing}; docs/training.md says what belongs in it"


def _parameters(pairs: list[str]) -> dict[str, Any]:
    from gateway.service.errors import ServiceError
    from gateway.service.parameters import from_query

    split = [pair.partition("=") for pair in pairs]
    if any(not equals for _, equals, _ in split):
        _fail("a parameter is given as NAME=VALUE")
    try:
        return from_query((name, value) for name, _, value in split)
    except ServiceError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"hedgerow: {message}", file=sys.stderr)
    raise typer.Exit(1)

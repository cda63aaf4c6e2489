"""`hedgerow nodes` and `hedgerow plan`: what the devices do, and what they would."""

import json
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, read_settings
from gateway.commands.options import AsJson, GatewayUrl
from gateway.settings import ClientSettings


def nodes(
    watching: Annotated[bool, typer.Option("--watch", help="Go on, once a second, until Ctrl-C.")] = False,
    as_json: AsJson = False,
    url: GatewayUrl = "",
    key: Annotated[str, typer.Option(help="API key with the scope nodes or admin; better given as HEDGEROW_KEY.")] = "",
) -> None:
    """Show the nodes of a running gateway: devices, state, temperature, work, faults.

    Exits with 1 when a node or a device is out of service.
    """
    from gateway.console.nodes import NodesClient, NodesUnknown, all_in_service, tables, watch

    client = ClientSettings()
    if not (key or client.key):
        fail("give an API key as HEDGEROW_KEY; `hedgerow keys create --scope nodes` makes one")
    asked = NodesClient(url or client.url or "http://127.0.0.1:8080", key or client.key)
    try:
        if watching:
            watch(asked.nodes, Console(), as_json=as_json)
            return
        found = asked.nodes()
    except NodesUnknown as error:
        fail(str(error))
    print(json.dumps({"nodes": found}, indent=2)) if as_json else Console().print(tables(found))
    if not all_in_service(found):
        raise typer.Exit(1)


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
        packages = package_files(package_folders(read_settings().models_dirs))
        on_cpu = any(not one.bus for one in devices)
        models = [parse_model(text, packages, deadline, on_cpu=on_cpu) for text in model or []]
        found = run(models, devices, seconds=seconds, seed=seed)
    except ValueError as error:
        fail(str(error))
    told = assumptions(models, devices, seconds, seed)
    if as_json:
        print(json.dumps(plan_to_json(found, models, devices, told), indent=2))
    else:
        Console().print(plan_tables(found, models, devices, told))

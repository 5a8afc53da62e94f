"""`jmml cluster`: Ray on the machines at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import JsonFlag, print_json, print_table, say

if TYPE_CHECKING:
    from pipelines.compute.cluster_info import Cluster

app = typer.Typer(help="Ray clusters for sweeps: start, join, look, end.", no_args_is_help=True)

Cpus = Annotated[
    int | None, typer.Option("--cpus", min=0, help="CPUs to offer; all if not given.", show_default=False)
]
Gpus = Annotated[
    int | None, typer.Option("--gpus", min=0, help="GPUs to offer; all if not given.", show_default=False)
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with the cluster's token; ~/.ray/auth_token if not given.",
        show_default=False,
    ),
]
Port = Annotated[int, typer.Option("--port", min=1024, max=65535, help="Port of the head.")]


@app.command()
def up(
    port: Port = 6379,
    dashboard_port: Annotated[
        int,
        typer.Option(
            "--dashboard-port", min=1024, max=65535, help="Dashboard and job server, loopback only."
        ),
    ] = 8265,
    cpus: Cpus = None,
    gpus: Gpus = None,
    node_ip: Annotated[
        str | None,
        typer.Option("--node-ip", help="Address by which other machines reach this one.", show_default=False),
    ] = None,
) -> None:
    """Start the head of a cluster here, protected by a token.

    [bold]Examples[/bold]

      $ jmml cluster up

      $ jmml cluster up --cpus 0 --node-ip 10.0.0.5
    """
    from pipelines.compute import nodes

    cluster, token, started = nodes.up(
        port=port, dashboard_port=dashboard_port, cpus=cpus, gpus=gpus, node_ip=node_ip
    )
    file = token.path or f"${token.source}"
    say(f"cluster {'up' if started else 'already up'} at {cluster.address}, {_size(cluster)}")
    say(f"token      {file} (secret: who has it runs code here)")
    say(f"dashboard  http://{cluster.dashboard} (on this machine only)")
    say(f"join       copy the token to the other machine, then: jmml cluster join {cluster.address}")
    say(f"run        jmml sweep run quick --address {cluster.address}")
    say("end        jmml cluster down")


@app.command()
def join(
    address: Annotated[str, typer.Argument(help="HOST:PORT that `jmml cluster up` printed.")],
    token_file: TokenFile = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
) -> None:
    """Offer this machine to a cluster.

    [bold]Examples[/bold]

      $ jmml cluster join 10.0.0.5:6379

      $ jmml cluster join 10.0.0.5:6379 --token-file ~/cluster.token --cpus 8 --gpus 1
    """
    from pipelines.compute import nodes
    from pipelines.reporting.wording import many

    cluster, node = nodes.join(address, token_file=token_file, cpus=cpus, gpus=gpus)
    has = f"{many(node.cpus, 'CPU')}, {many(node.gpus, 'GPU')}"
    say(f"{node.ip} joined with {has}; cluster {cluster.address}: {_size(cluster)}")


@app.command()
def status(
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="HOST:PORT; RAY_ADDRESS or this machine's if not given.", show_default=False
        ),
    ] = None,
    token_file: TokenFile = None,
    json: JsonFlag = False,
) -> None:
    """Nodes, CPUs and GPUs in total and free, and who uses them."""
    from pipelines.compute import nodes

    cluster = nodes.status(address, token_file=token_file)
    columns = ("node", "host", "role", "jmml", "CPUs", "free", "GPUs", "free")
    if json:
        print_json(
            {
                "address": cluster.address,
                "token": cluster.protected,
                "ray": cluster.ray,
                "python": cluster.python,
                "dashboard": cluster.dashboard,
                "users": list(cluster.users),
                "nodes": [
                    {
                        "id": node.id,
                        "ip": node.ip,
                        "host": node.hostname,
                        "head": node.head,
                        "cpus": node.cpus,
                        "free_cpus": node.free_cpus,
                        "gpus": node.gpus,
                        "free_gpus": node.free_gpus,
                        "jmml": node.labels.get("jmml-version"),
                    }
                    for node in cluster.nodes
                ],
            }
        )
        return
    rows = [
        (
            node.ip,
            node.hostname,
            "head" if node.head else "worker",
            node.labels.get("jmml-version", "?"),
            *(f"{value:g}" for value in (node.cpus, node.free_cpus, node.gpus, node.free_gpus)),
        )
        for node in cluster.nodes
    ]
    print_table(
        columns, rows, title=f"cluster {cluster.address}: {_size(cluster)}, Ray {cluster.ray}", left=4
    )
    say(f"in use by: {', '.join(cluster.users) or 'nobody'}")
    if not cluster.protected:
        say("warning: this cluster asks for no token; anyone who reaches it may run code on it", err=True)


@app.command()
def down(
    address: Annotated[
        str | None, typer.Option("--address", help="Only the nodes of this cluster.", show_default=False)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also when sweeps or studies run on the cluster.")
    ] = False,
) -> None:
    """End the nodes that `up` and `join` started on this machine, and nothing else.

    Refused while something runs on the cluster, unless --force is given.

    [bold]Examples[/bold]

      $ jmml cluster down

      $ jmml cluster down --force
    """
    from pipelines.compute import nodes

    if not force:
        nodes.require_unused(address)
    ended = nodes.down(address)
    for node in ended:
        say(f"ended {node.role} of {node.address}")
    if not ended:
        say("nothing runs here that `jmml cluster` started")


def _size(cluster: Cluster) -> str:
    from pipelines.reporting.wording import many

    cpus, gpus = sum(node.cpus for node in cluster.nodes), sum(node.gpus for node in cluster.nodes)
    return f"{many(len(cluster.nodes), 'node')}, {many(cpus, 'CPU')}, {many(gpus, 'GPU')}"

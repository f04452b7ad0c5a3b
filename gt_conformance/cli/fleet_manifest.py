"""``gt-conformance fleet manifest``: what another engine needs to judge a fleet in shards, printed."""

import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from gt_conformance.cli._options import read_time
from gt_conformance.engines import (
    Cluster,
    Gate,
    Mount,
    Shards,
    Upload,
    github_workflow,
    gitlab_pipeline,
    kubernetes_manifest,
)
from gt_conformance.errors import InputError
from gt_conformance.fleet import Fleet, load_fleet

_ENGINES = ("kubernetes", "github", "gitlab")
_KUBERNETES = ("kubernetes",)
_TAKEN_BY = {
    "fail_on": ("github", "gitlab"),
    "files": _KUBERNETES,
    "image": ("kubernetes", "gitlab"),
    "mounts": _KUBERNETES,
    "namespace": _KUBERNETES,
    "only": _KUBERNETES,
    "parallel": ("kubernetes", "github"),
    "results": _KUBERNETES,
    "schedule": ("kubernetes", "github"),
    "secrets": ("kubernetes", "github"),
    "service_account": _KUBERNETES,
    "upload": _KUBERNETES,
    "upload_image": _KUBERNETES,
}
"""Which engines take an option. The others have no place for it, and say so rather than drop it."""

_TENANTS_IN_A_SHARD = 100
_MOUNTED = ("secret", "configmap", "pvc")


@click.command("manifest")
@click.argument("fleet", metavar="FLEET", type=click.Path(path_type=Path))
@click.option("--engine", type=click.Choice(_ENGINES), required=True, help="The engine that judges the fleet.")
@click.option("--shards", metavar="N", type=int, help="How many shards. [default: one for each 100 tenants]")
@click.option("--name", default="gt-fleet", show_default=True, help="The name of the objects, and of their parts.")
@click.option(
    "--at-once",
    metavar="N",
    type=click.IntRange(1),
    default=Shards.at_once,
    show_default=True,
    help="As for fleet run.",
)
@click.option("--parallel", metavar="N", type=click.IntRange(1), help="How many shards run at once. [default: all]")
@click.option(
    "--deadline",
    metavar="TIME",
    default="6h",
    show_default=True,
    callback=lambda _context, _option, text: read_time(text),
    help="How long a night may take before it is cancelled (90m, 6h).",
)
@click.option(
    "--schedule", metavar="CRON", default=Gate.schedule, show_default=True, help="Minute and hour in UTC, and days."
)
@click.option("--image", metavar="NAME@DIGEST", help="The image that has this command, by its digest.")
@click.option(
    "--secret",
    "secrets",
    metavar="NAME[:/PATH]",
    multiple=True,
    help="Kubernetes: a Secret whose keys become variables, or files at a path. GitHub: a secret to pass as a variable "
    "(may be repeated).",
)
@click.option(
    "--files",
    metavar="KIND/NAME",
    help="The configmap/NAME or pvc/NAME with FLEET and the files that it names. [default: configmap/gt-fleet]",
)
@click.option("--results", metavar="CLAIM", help="The claim for the results, which all shards share.")
@click.option(
    "--upload-image", metavar="NAME@DIGEST", help="Instead: an image that copies the results to an object store."
)
@click.option("--upload", metavar="COMMAND", help="The command of that image. It finds the results in /results.")
@click.option(
    "--volume",
    "mounts",
    metavar="KIND/NAME:/PATH",
    multiple=True,
    help="A secret, configmap or pvc to mount, read-only.",
)
@click.option("--namespace", metavar="NAME", help="The namespace. [default: the namespace of the context]")
@click.option(
    "--service-account", metavar="NAME", help="The service account, for a secret_command that needs its token."
)
@click.option("--only", type=click.Choice(["job", "cronjob"]), help="Print only this object.")
@click.option(
    "--fail-on", type=click.Choice(["any", "new"]), default=Gate.fail_on, show_default=True, help="As for fleet report."
)
@click.pass_context
def manifest(  # noqa: PLR0913, PLR0917 - one argument an option
    context: click.Context,
    fleet: Path,
    engine: str,
    shards: int | None,
    name: str,
    at_once: int,
    parallel: int | None,
    deadline: float,
    schedule: str,
    image: str | None,
    secrets: tuple[str, ...],
    files: str | None,
    results: str | None,
    upload_image: str | None,
    upload: str | None,
    mounts: tuple[str, ...],
    namespace: str | None,
    service_account: str | None,
    only: str | None,
    fail_on: str,
) -> int:
    """Print what Kubernetes, GitHub or GitLab needs to judge a fleet in shards.

    A shard that recorded its verdicts has done its work, whatever they are, and is not run again; `fleet report`
    decides. Kubernetes gets a Job for one night and a CronJob for every night, GitHub a workflow, GitLab two jobs.

    \b
    Examples:
      gt-conformance fleet manifest fleet.yaml --engine kubernetes --image NAME@sha256:DIGEST --results gt-nights \\
          --files configmap/gt-fleet --secret gt-keys | kubectl apply -f -
      gt-conformance fleet manifest fleet.yaml --engine github --secret VAULT_TOKEN > .github/workflows/gt-fleet.yml
      gt-conformance fleet manifest fleet.yaml --engine gitlab > .gitlab-ci.yml
    """
    _refuse_foreign_options(context, engine)
    found = load_fleet(fleet)
    count = shards if shards is not None else max(1, -(-len(found.tenants) // _TENANTS_IN_A_SHARD))
    _require_a_share_of_gateways(found, count)
    wanted = Shards(fleet.as_posix(), count, name, at_once, parallel, round(deadline))
    match engine:
        case "github":
            _require_in_checkout(fleet)
            click.echo(github_workflow(wanted, Gate(fail_on, schedule), secrets), nl=False)
        case "gitlab":
            _require_in_checkout(fleet)
            click.echo(gitlab_pipeline(wanted, Gate(fail_on), image), nl=False)
        case _:
            if image is None:
                raise InputError.of("--image is missing.", hint="Name the image that you built from the Containerfile.")
            if (upload_image is None) != (upload is None):
                raise InputError.of("--upload-image and --upload go together.")
            mounted = [Mount.parse(f"secret/{one}", _MOUNTED) for one in secrets if ":" in one]
            cluster = Cluster(
                image=image,
                files=_find_files(files, name),
                results=results,
                upload=Upload(upload_image, tuple(shlex.split(upload))) if upload_image and upload else None,
                namespace=namespace,
                schedule=schedule,
                environment=tuple(one for one in secrets if ":" not in one),
                mounts=(*mounted, *(Mount.parse(one, _MOUNTED) for one in mounts)),
                service_account=service_account,
            )
            kinds = ("Job", "CronJob") if only is None else ({"job": "Job", "cronjob": "CronJob"}[only],)
            click.echo(kubernetes_manifest(wanted, cluster, kinds), nl=False)
    return 0


def _find_files(given: str | None, name: str) -> Mount:
    at = "/fleet"
    return Mount("configmap", name, at) if given is None else Mount.parse(given, ("configmap", "pvc"), path=at)


def _refuse_foreign_options(context: click.Context, engine: str) -> None:
    options = {one.name: one.opts[0] for one in context.command.params}
    for parameter, engines in _TAKEN_BY.items():
        given = context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE
        if given and engine not in engines:
            raise InputError.of(
                f"--engine {engine} has no use for {options[parameter]}, which is for {' and '.join(engines)}."
            )


def _require_a_share_of_gateways(fleet: Fleet, count: int) -> None:
    """What a gateway takes is divided by the shards: each has to be left with a request at least."""
    for gateway in fleet.gateways.values():
        if gateway.concurrency < count:
            raise InputError.of(
                f"gateway {gateway.name!r} takes {gateway.concurrency} requests at once: too few for {count} shards.",
                hint=f"Make at most {gateway.concurrency} shards, or raise its concurrency in {fleet.path}.",
            )


def _require_in_checkout(fleet: Path) -> None:
    """The jobs run in a checkout, so that the fleet file has to be named as it is there."""
    if fleet.is_absolute() or ".." in fleet.parts:
        raise InputError.of(f"{fleet}: name the fleet file by its path in the repository.")

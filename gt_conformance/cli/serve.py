"""``gt-conformance serve``: the embedded tenant in the foreground, for people to try their own clients."""

import json
import shlex
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType

import click

from gt_conformance import files, ownership, signals
from gt_conformance.cli._options import list_faults, list_variants
from gt_conformance.errors import InputError
from gt_sandbox import EmbeddedTenant
from gt_sandbox.alterations import Alteration, SelectionError
from gt_sandbox.faults import Fault, FaultSet, select_faults
from gt_sandbox.variants import VariantSet, select_variants

ADMIN = "admin"
"""The file beside the secrets that says where the tenant's administration is, and holds its token: a line each."""


@click.command
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="The port. Default: a free one.")
@click.option("--fault", "faults", metavar="NAME", multiple=True, help="Apply this fault (may be repeated).")
@list_faults
@click.option(
    "--variant", "variants", metavar="NAME", multiple=True, help="Apply this permitted variation (may be repeated)."
)
@list_variants
@click.option("--versioned-only", is_flag=True, help="The same as --fault versioned-only.")
@click.option(
    "--tenant-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a tenant file for it, with the secrets in a folder next to it.",
)
@click.option(
    "--force", is_flag=True, help="Overwrite a file that this command did not write, or that was changed since."
)
def serve(
    port: int,
    tenant_file: Path | None,
    faults: tuple[str, ...],
    variants: tuple[str, ...],
    *,
    versioned_only: bool,
    force: bool,
) -> int:
    """Run the embedded tenant on loopback until Ctrl-C, and print its address and keys.

    Its keys are new at each start and are valid nowhere else. A run against it is evidence about this suite only.

    \b
    Examples:
      gt-conformance serve --port 8800 --tenant-file local.yaml
      gt-conformance run --tenant local.yaml --runbook dify       (in another terminal)
      gt-conformance serve --fault stream-of-crlf --fault embeddings-500
      gt-conformance serve --variant names-with-slashes
    """
    named = (*faults, *(["versioned-only"] if versioned_only else []))
    return _serve_until_interrupted(port, tenant_file, _faults(named), _variants(variants), force=force)


def _serve_until_interrupted(
    port: int, tenant_file: Path | None, faults: FaultSet, variants: VariantSet, *, force: bool
) -> int:
    """Serve until Ctrl-C or SIGTERM. Raises InputError where the port is taken, or the file cannot be written."""
    over = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        over.set()

    tenant = EmbeddedTenant(port=port, middleware=(*variants.middleware, *faults.middleware))
    try:
        tenant.start()
    except OSError as error:
        raise InputError.of(f"the embedded tenant could not be started: {error.strerror or error}.") from None
    with signals.handling(end):
        try:
            if tenant_file is not None:
                write_tenant_file(tenant, tenant_file, faults, variants, force=force)
            _announce(tenant, tenant_file, (*faults.members, *variants.members))
            over.wait()
        finally:
            tenant.stop()
    return 0


def write_tenant_file(
    tenant: EmbeddedTenant, path: Path, faults: FaultSet, variants: VariantSet, *, force: bool = False
) -> None:
    """Write a tenant file, as these faults and variants leave it.

    A folder beside it, for this user only, holds its secrets and the address and token of its administration. Unless
    it is forced, nothing is overwritten that this did not write, or that somebody has changed: InputError.
    """
    folder = _secrets_folder(path)
    document = dict(faults.change_tenant_file(variants.change_tenant_file(tenant.tenant_document())))
    keys = document["keys"]
    if isinstance(keys, dict):
        document = _by_file(document, folder.name)
        document["keys"] = {name: _by_file(entry, folder.name) for name, entry in keys.items()}
    text = json.dumps(document, indent=2) + "\n"  # JSON is YAML: no library is needed to write it
    private = {**tenant.secrets, ADMIN: f"{tenant.admin_url}\n{tenant.admin_token}"}
    if not force:
        _check_overwrite(path, private)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A secret may have been rotated since, and the file is still ours; a tenant file that was edited is not.
        own = {**dict.fromkeys(private), f"../{path.name}": ownership.digest(text.encode())}
        ownership.claim(folder, own, mode=0o600)
        for name, secret in private.items():
            files.replace_secret(folder / name, secret + "\n")
        files.replace_text(path, text)
    except OSError as error:
        raise InputError.of(
            f"{error.filename} cannot be written: {error.strerror}.", hint="Name another file."
        ) from None


def _check_overwrite(path: Path, private: Iterable[str]) -> None:
    for found in ownership.foreign(_secrets_folder(path), [f"../{path.name}", *private]):
        raise InputError.of(
            f"{found} exists, and `gt-conformance serve` did not write it, or it was changed since.",
            hint="Name another file, or overwrite it with --force.",
        )


def _faults(names: Sequence[str]) -> FaultSet:
    try:
        return select_faults(names)
    except SelectionError as error:
        raise InputError.of(str(error), hint="gt-conformance serve --list-faults lists them.") from None


def _variants(names: Sequence[str]) -> VariantSet:
    try:
        return select_variants(names)
    except SelectionError as error:
        raise InputError.of(str(error), hint="gt-conformance serve --list-variants lists them.") from None


def _secrets_folder(path: Path) -> Path:
    return path.with_suffix(".secrets")


_SECRETS = ("secret_env", "other_tenant_key_env")
"""The words of a tenant file that name a variable with a secret in it."""


def _by_file(entry: dict[str, object], folder: str) -> dict[str, object]:
    return {
        name.replace("_env", "_file"): f"{folder}/{value}" if name.endswith(_SECRETS) else value
        for name, value in entry.items()
    }


def _announce(tenant: EmbeddedTenant, tenant_file: Path | None, chosen: Sequence[Alteration]) -> None:
    click.secho("EMBEDDED tenant: evidence about this suite, never about a tenant.", bold=True)
    for item in chosen:
        kind = "fault" if isinstance(item, Fault) else "variant"
        click.secho(f"{kind:<10} {item.name}: {item.description}", fg="yellow")
    click.echo(f"base URL   {tenant.base_url}")
    if tenant_file is not None:
        click.echo(f"tenant     {tenant_file} (gt-conformance run --tenant {tenant_file})")
        click.echo(f"rotate     {_rotation(tenant_file)}")
    click.echo("keys       (made for this start; they open nothing else)")
    for variable, secret in tenant.secrets.items():
        click.echo(f"  {variable:<28} {secret}")
    click.echo("presets")
    for preset, key in tenant.presets.items():
        click.echo(f"  {preset:<28} {key.secret}")
    click.echo("Ctrl-C ends it.")


def _rotation(tenant_file: Path) -> str:
    """The line that rotates one of its keys from another terminal."""
    folder = _secrets_folder(tenant_file)
    store = ["--tenant", str(tenant_file), "--write-secret", str(folder / "GT_EMBEDDED_CHAT")]
    command = ["gt-conformance", "sandbox-rotate", "--admin", str(folder / ADMIN), "chat"]
    return shlex.join(["gt-conformance", "rotate", "chat", *store, "--", *command])

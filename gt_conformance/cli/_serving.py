"""The embedded tenant in the foreground."""

import json
import shlex
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

from gt_conformance.errors import InputError
from gt_sandbox import EmbeddedTenant
from gt_sandbox.alterations import Alteration, SelectionError
from gt_sandbox.faults import Fault, FaultSet, select_faults
from gt_sandbox.variants import VariantSet, select_variants

ADMIN = "admin"
"""The file beside the secrets that says where the tenant's administration is, and holds its token: a line each."""


def serve_until_interrupted(
    port: int, tenant_file: Path | None, faulty: Sequence[str], different: Sequence[str]
) -> int:
    """Serve until Ctrl-C or SIGTERM, with the faults and the variants of these names.

    Raises InputError where the port is taken, the file cannot be written, or there is no fault or variant of a name.
    """
    faults, variants = _faults(faulty), _variants(different)
    over = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        over.set()

    tenant = EmbeddedTenant(port=port, middleware=(*variants.middleware, *faults.middleware))
    try:
        tenant.start()
    except OSError as error:
        raise InputError.of(
            f"the embedded tenant could not be started: {error}", hint="Choose another --port."
        ) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        if tenant_file is not None:
            write_tenant_file(tenant, tenant_file, faults, variants)
        _announce(tenant, tenant_file, (*faults.members, *variants.members))
        over.wait()
    finally:
        tenant.stop()
    return 0


def write_tenant_file(tenant: EmbeddedTenant, path: Path, faults: FaultSet, variants: VariantSet) -> None:
    """A tenant file, as these faults and variants leave it.

    In a folder beside it, for this user only, stand its secrets and the way to its administration.
    """
    folder = _secrets_folder(path)
    document = dict(faults.change_tenant_file(variants.change_tenant_file(tenant.tenant_document())))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = {**tenant.secrets, ADMIN: f"{tenant.admin_url}\n{tenant.admin_token}"}
        for name, text in private.items():
            target = folder / name
            target.touch(mode=0o600)
            target.write_text(text + "\n", encoding="utf-8")
        keys = document["keys"]
        if isinstance(keys, dict):
            document["keys"] = {name: _by_file(entry, folder.name) for name, entry in keys.items()}
        # JSON is YAML: no library is needed to write it.
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError.of(
            f"{error.filename} cannot be written: {error.strerror}.", hint="Name another file."
        ) from None


def _faults(names: Sequence[str]) -> FaultSet:
    try:
        faults = select_faults(names)
    except SelectionError as error:
        raise InputError.of(str(error), hint="gt-conformance serve --list-faults lists them.") from None
    for fault in faults.members:
        if fault.rewrite is not None:
            raise InputError.of(
                f"the fault {fault.name} is in a runbook, not in the tenant.",
                hint=f"See it with gt-conformance run --fault {fault.name}.",
            )
    return faults


def _variants(names: Sequence[str]) -> VariantSet:
    try:
        return select_variants(names)
    except SelectionError as error:
        raise InputError.of(str(error), hint="gt-conformance serve --list-variants lists them.") from None


def _secrets_folder(path: Path) -> Path:
    return path.with_suffix(".secrets")


def _by_file(entry: dict[str, object], folder: str) -> dict[str, object]:
    return {
        name.replace("_env", "_file"): f"{folder}/{value}" if name.endswith("secret_env") else value
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

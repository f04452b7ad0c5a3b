"""``gt-conformance sandbox-rotate``: the rotation command that the embedded tenant offers."""

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

import click

from gt_conformance.errors import InputError
from gt_conformance.files import read_bounded

_TIMEOUT_S = 10
_UNREACHABLE = 8
_MOST_BYTES = 4096


@click.command("sandbox-rotate")
@click.option(
    "--admin",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The file `admin` that `serve --tenant-file` wrote next to the secrets.",
)
@click.option(
    "--old-alive",
    "old_alive_s",
    metavar="SECONDS",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    show_default=True,
    help="How many seconds the old secret still works.",
)
@click.argument("key")
def sandbox_rotate(admin: Path, old_alive_s: float, key: str) -> int:
    """Rotate a key of an embedded tenant that `gt-conformance serve --tenant-file` runs; print the new secret alone.

    It is a COMMAND for `gt-conformance rotate`: what an operator's own script would do at a real tenant.

    \b
    Examples:
      gt-conformance rotate chat --tenant local.yaml -- gt-conformance sandbox-rotate --admin local.secrets/admin chat
    """
    try:
        url, token = read_bounded(admin, _MOST_BYTES).decode().split()
        at = urlsplit(url)
        port = at.port
    except OSError as error:
        raise InputError.of(f"{admin} cannot be read: {error.strerror}.", hint=_WRITTEN_BY) from None
    except ValueError:
        raise InputError.of(f"{admin} does not hold an address and a token, a line each.", hint=_WRITTEN_BY) from None
    # Neither a proxy nor a redirect: the token goes to the tenant that it belongs to, or nowhere.
    connection = HTTPConnection(at.hostname or "", port, timeout=_TIMEOUT_S)
    try:
        connection.request(
            "POST",
            f"{at.path}/keys/{quote(key, safe='')}/rotate",
            body=f'{{"old_alive_s": {old_alive_s}}}',
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        status, text = answer.status, answer.read().decode()
    except (OSError, HTTPException, ValueError):
        click.echo(f"error: no embedded tenant answers at {url}. Is `gt-conformance serve` still running?", err=True)
        return _UNREACHABLE
    finally:
        connection.close()
    if status != 200:
        raise InputError.of(f"the embedded tenant did not rotate the key {key!r}: HTTP {status}.", hint=_reason(text))
    click.echo(text.strip())
    return 0


_WRITTEN_BY = "Name the file `admin` that `gt-conformance serve --tenant-file local.yaml` writes to local.secrets/."


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return _WRITTEN_BY

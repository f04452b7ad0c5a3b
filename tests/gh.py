"""GitHub's command `gh`, as far as action.yml uses it, for artifacts in the folder that GH_STORE names."""

import json
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jq


def main(words: list[str]) -> None:
    """List the artifacts of a name by an expression of jq, or download one of a run."""
    store = Path(os.environ["GH_STORE"])
    if "GH_OFFLINE" in os.environ:
        sys.exit("error connecting to api.github.com")
    match words:
        case ["api", address, "--jq", query]:
            (name,) = parse_qs(urlsplit(address).query)["name"]
            text = jq.compile(query).input_value({"artifacts": listed(store, name)}).text()
            sys.stdout.write(f"{text}\n" if text else "")
        case ["run", "download", run, "--name", name, "--dir", target]:
            shutil.copytree(store / run / name, target)
        case _:
            sys.exit(f"no part of this: {words}")


def listed(store: Path, name: str) -> list[dict[str, object]]:
    """The artifacts of that name, newest first, as GitHub's API lists them."""
    found = []
    for number in sorted((int(path.stem) for path in store.glob("*.json")), reverse=True):
        if (store / str(number) / name).is_dir():
            run = {"id": number, **json.loads((store / f"{number}.json").read_text())}
            found.append(
                {
                    "name": name,
                    "expired": (store / str(number) / f"{name}.expired").exists(),
                    "created_at": f"2026-11-01T00:00:{number:02}Z",
                    "workflow_run": run,
                }
            )
    return found


if __name__ == "__main__":
    main(sys.argv[1:])

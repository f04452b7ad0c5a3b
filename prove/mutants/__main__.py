"""``python -m prove.mutants`` (``make mutants``): try every mutant, and say which survive.

What was tried is kept in ``.mutants/``, and not tried again until the module changes: ending it loses nothing.
``--again`` tries the survivors once more (after a test was added); ``--module NAME`` takes some modules only;
``--write`` renews docs/mutation.md. Exit code 1 where a mutant survives that explained.yaml does not explain,
or it explains one that does not.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from prove.mutants import _document, _session

PACKAGES = (Path("gt_conformance/checks"), Path("gt_conformance/judgement"))


def main() -> int:
    """Try them."""
    modules = sorted(path for package in PACKAGES for path in package.glob("*.py") if path.stem != "__init__")
    names = [path.stem for path in modules]
    parser = argparse.ArgumentParser(prog="python -m prove.mutants", description="Mutation testing.")
    parser.add_argument("--again", action="store_true", help="try those again that survived")
    parser.add_argument(
        "--module", action="append", choices=names, metavar="NAME", help="only this one (may be repeated)"
    )
    parser.add_argument("--write", action="store_true", help="renew docs/mutation.md")
    parser.add_argument("--list", action="store_true", help="try nothing: tell what was found so far")
    options = parser.parse_args()
    chosen = [path for path in modules if not options.module or path.stem in options.module]
    if not options.list:
        try:
            _try(chosen, again=options.again)
        except RuntimeError as error:
            parser.exit(2, f"{error}\n")
    found = _document.Found.of(_session.mutants(chosen))
    if options.write:
        _document.PATH.write_text(found.document(), encoding="utf-8")
    for mutant in found.unexplained:
        print(f"{mutant.module}:{mutant.line} survives: {mutant.before}  ->  {mutant.after}")  # noqa: T201
    idle = [] if options.module else found.idle
    for entry in idle:
        print(f"{entry.module}: no mutant survives that this explains, so remove it: {entry.why}")  # noqa: T201
    print(found.summary)  # noqa: T201 - what it is for
    return int(bool(found.unexplained or idle))


def _try(modules: list[Path], *, again: bool) -> None:
    with _session.workers(Path.cwd()) as pool, Progress(console=Console(stderr=True)) as progress:
        tasks = {}
        for module, count, total in _session.tried(pool, modules, again=again):
            if module not in tasks:
                tasks[module] = progress.add_task(f"{module.parent.name}/{module.name}", total=total)
            progress.update(tasks[module], completed=count)


if __name__ == "__main__":
    sys.exit(main())

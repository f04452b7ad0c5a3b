"""Chromium as the tests drive it: without a window, and with an account of everything that a document did in it."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 10_000
"""What does not come about in this time does not come about."""
WIDE = (1280, 900)
NARROW = (360, 740)
"""A small telephone, in CSS pixels."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium that is installed. The tests fail where none is: a document that nobody opened is not proved."""
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    assert path is not None, f"none of {', '.join(NAMES)} is installed: make test-slow says how"
    # Chromium refuses to run its sandbox as root.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *sandbox])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def reading(browser: Browser, document: Path, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Page]:
    """The document in a page of its own, which must do nothing beyond being shown, until the end of the block.

    No request but the one for the file itself, no word on the console, no error, no dialog, no other page.
    """
    with watched(browser, size, **options) as (page, deeds):
        page.goto(document.as_uri())
        yield page
        assert deeds == [f"request {document.as_uri()}"]


@contextlib.contextmanager
def watched(browser: Browser, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """An empty page, and a list that fills with what happens in it."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = context.new_page()
        yield page, _deeds(context)
    finally:
        context.close()


def _deeds(context: BrowserContext) -> list[str]:
    deeds: list[str] = []
    context.on("request", lambda request: deeds.append(f"request {request.url}"))
    context.on("console", lambda message: deeds.append(f"console {message.text}"))
    context.on("weberror", lambda error: deeds.append(f"error {error.error}"))
    context.on("page", lambda page: deeds.append(f"page {page.url}"))

    def dialog(shown: Any) -> None:
        deeds.append(f"dialog {shown.message}")
        shown.dismiss()

    context.on("dialog", dialog)
    return deeds

"""The logs of this process, without secrets."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class _Redacting(Protocol):
    """Takes secrets out of a text."""

    def text(self, text: str) -> str:
        """The text without them."""


@contextmanager
def redact_logs(redactor: _Redacting) -> Iterator[None]:
    """While inside, every log record of the process is made without secrets, its traceback included.

    A live log is printed as it comes, before any report is searched.
    """
    make = logging.getLogRecordFactory()

    def clean(*given: Any, **more: Any) -> logging.LogRecord:
        record = make(*given, **more)
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit their message are shown beside it
            text = f"{record.msg} {record.args}"
        record.msg, record.args = redactor.text(text), None
        if record.exc_info:
            record.exc_text = redactor.text("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return record

    logging.setLogRecordFactory(clean)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)

"""Log records of a run hold no secrets, whatever the logger was given."""

import logging

import pytest

from gt_conformance.exchange import Redactor, redact_logs

KEY = "gtak_" + "k3y0fTh3Ch4t" * 3
REDACTOR = Redactor({"chat": KEY})


def test_a_record_is_redacted_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Message, arguments and exception are shown without the key."""
    with redact_logs(REDACTOR):
        logging.getLogger("careless").error("sending %s", {"key": KEY}, exc_info=ValueError(KEY))
    assert KEY not in caplog.text
    assert "sending {'key': '[secret chat]'}" in caplog.text
    assert "ValueError: [secret chat]" in caplog.text


def test_a_record_that_cannot_be_formatted_is_redacted_too(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments that do not fit their message stand beside it; the caller is not troubled."""
    with redact_logs(REDACTOR):
        logging.getLogger("careless").error("sending %d", KEY)
    assert KEY not in caplog.text
    assert "sending %d ('[secret chat]',)" in caplog.text


def test_afterwards_records_are_as_before(caplog: pytest.LogCaptureFixture) -> None:
    """Other programs in this process log what they like again."""
    with redact_logs(REDACTOR):
        pass
    logging.getLogger("careless").error("sending %s", KEY)
    assert caplog.records[-1].args == (KEY,)

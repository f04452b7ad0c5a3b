"""Faults of transcription and speech."""

from ..edges import Answer, successes
from ._fault import Area
from ._parts import SPEECH, TRANSCRIPTIONS, answer, error, instead, saying

fault = Area("audio")


def _as_text(right: Answer) -> Answer:
    return right.saying(right.body, "text/plain")


FAULTS = (
    fault(
        "transcription-500",
        "A transcription fails with 500.",
        instead(TRANSCRIPTIONS, error(500, "no model")),
        checks="audio.transcribes base_url.joins",
        places="transcriptions",
    ),
    fault(
        "transcription-without-text",
        "A transcription has no text.",
        saying(TRANSCRIPTIONS, {"duration": 1.0}),
        checks="audio.transcribes",
        places="transcriptions",
    ),
    fault(
        "transcription-bare",
        "A transcription is bare text, not JSON.",
        successes(TRANSCRIPTIONS, lambda right: right.saying(b"A recording.", "text/plain")),
        checks="audio.transcribes",
        places="transcriptions",
    ),
    fault(
        "speech-500",
        "Speech fails with 500.",
        instead(SPEECH, error(500, "no voice")),
        checks="audio.speaks base_url.joins",
        places="speech",
    ),
    fault(
        "speech-in-json",
        "Speech comes as base64 in JSON.",
        instead(SPEECH, answer(200, {"audio": "UklGRg=="})),
        checks="audio.speaks",
        places="speech",
    ),
    fault(
        "speech-empty",
        "Speech has no bytes.",
        successes(SPEECH, lambda right: right.saying(b"")),
        checks="audio.speaks",
        places="speech",
    ),
    fault(
        "speech-of-wrong-type",
        "Speech is sent as text/plain.",
        successes(SPEECH, _as_text),
        checks="audio.speaks",
        places="speech",
    ),
    fault(
        "speech-not-audio",
        "Speech is sent as audio/wav, and its bytes are no audio.",
        successes(SPEECH, lambda right: right.saying(b"nothing to hear")),
        checks="audio.speaks",
        places="speech",
    ),
)

"""Audio and images: bytes that are what they say they are."""

import base64
import re
import struct
import zlib
from typing import Any
from urllib.parse import urlsplit

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import check, native
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._wording import describe, extract_reason, format_status
from gt_conformance.checks.models import require_published
from gt_conformance.exchange import Exchange, NotJson, Request, Response, shortened
from gt_conformance.tenant import is_loopback
from gt_conformance.vocabulary import Actor, Fact, Modality, Route, Severity

_IN_FILES = frozenset(
    f"audio/{prefix}{name}"
    for name in ("wav", "wave", "mpeg", "mp3", "ogg", "flac", "mp4", "m4a", "aac", "webm", "aiff")
    for prefix in ("", "x-", "vnd.")
)
"""Types of audio that begin as :func:`is_audio` knows; any other may be samples or packets without a header."""
_BYTES = "application/octet-stream"
_VOICE = "alloy"
_SIZE = "1024x1024"
_PNG_HEADER = 24
_MORE_THAN_A_HEADER = 512
_WAVE = frozenset({b"RIFF", b"RF64", b"BW64"})
"""How a WAVE file begins: of the usual size, and of more than 4 GB, as of a stream whose size is open."""
_UNKNOWN_SIZE = 1 << 30
_WRONG_REQUEST = frozenset({400, 404, 422})
_UNVERIFIED = frozenset({301, 302, 303, 307, 308, 401, 403})
"""An address that wants the key, or leads elsewhere: no page says that it may not."""
_NO_SOUND, _NO_IMAGE = "audio:no sound", "image:no image"
"""The cause, however it was asked for."""
_SEND_SOUND = (
    "Have the tenant answer with the bytes of a sound, as the agent's text-to-speech model makes them: no JSON, and no "
    "text."
)
_SEND_IMAGE = "Have the tenant put an image into each item of data: standard base64 of its bytes in b64_json, or a url."
_IMAGE_CUT = "image:cut"
_SEND_ALL = (
    "Have the tenant, and every proxy before it, pass images on to their end, byte for byte, whatever their size."
)
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


@check(
    "audio.transcribes",
    claim="A WAV file is transcribed.",
    remedy="Give the agent a speech-to-text model, and the key inference:transcribe for its alias.",
    source="GT API reference, Transcribe audio; "
    "GT API keys and access, Key purposes; "
    "OpenAI API reference, Create transcription",
    clauses=("S1", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.TRANSCRIPTIONS,
    rows=native(Route.TRANSCRIPTIONS),
    shows=(Fact.SCOPE_TRANSCRIBE,),
)
async def transcribes(probe: Probe) -> None:
    """A generated one-second WAV by multipart gives 2xx JSON with a string text."""
    exchange = await probe.send(requests.transcription(probe.tenant, probe.credential.name))
    await require_published(probe, exchange, Modality.TRANSCRIPTION)
    probe.json(exchange, "transcription", "2xx JSON with a string text", modality=Modality.TRANSCRIPTION)


@check(
    "audio.speaks",
    claim="A text is spoken.",
    remedy="Give the agent a text-to-speech model with a default voice, and the key inference:speech for its alias.",
    source="GT API reference, Generate speech; "
    "GT API keys and access, Key purposes; "
    "OpenAI API reference, Create speech",
    clauses=("S2", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.SPEECH,
    rows=native(Route.SPEECH),
    shows=(Fact.SCOPE_SPEECH,),
)
async def speaks(probe: Probe) -> None:
    """2xx with an audio type or octet-stream, and bytes that begin as a known audio format does."""
    tenant, key = probe.tenant, probe.credential.name
    exchange = await probe.send(requests.speech(tenant, key, requests.spoken(probe.run_id, key)))
    await require_published(probe, exchange, Modality.SPEECH)
    _expect_audio(probe, exchange)


def _expect_audio(probe: Probe, exchange: Exchange) -> bytes:
    """The bytes of a sound; a violation unless they begin as audio does, and hold more than the header of a file."""
    expected = "2xx audio bytes of a known format"
    response = probe.success(exchange, expected, modality=Modality.SPEECH)
    kind = response.media_type
    probe.should(is_audio_type(kind), f"speech should have an audio content type; found {kind or 'none'}", exchange)
    is_named = _is_as_named(kind, response.body)
    probe.should(is_named, f"speech should be what its content type says; {kind} is a WAVE file", exchange)
    if probe.must(response.body, expected, "an empty body", exchange, remedy=_SEND_SOUND, cause=_NO_SOUND):
        found = f"bytes that begin with {response.body[:8].hex(' ')}"
        if probe.must(is_sound(response), expected, found, exchange, remedy=_SEND_SOUND, cause=_NO_SOUND):
            known = kind != _BYTES or is_audio(response.body)
            probe.should(known, f"neither the type {_BYTES} nor {found} say which format it is", exchange)
            has_sound = not _is_header(response.body)
            found = f"the header of a WAVE file, and no sound behind it ({len(response.body)} bytes)"
            if probe.must(has_sound, expected, found, exchange, remedy=_SEND_SOUND, cause=_NO_SOUND):
                _expect_whole(probe, exchange, response.body)
                heard = not _is_silent(response.body)
                probe.should(heard, "speech should be audible; the WAVE file holds nothing but silence", exchange)
    return response.body


def _is_as_named(kind: str, data: bytes) -> bool:
    """Whether a WAVE file, which is what servers fall back on, has its own type, or one that names no format."""
    return data[:4] not in _WAVE or kind not in _IN_FILES or kind.rpartition("/")[2].removeprefix("x-") in _WAVE_TYPES


_WAVE_TYPES = frozenset({"wav", "wave", "vnd.wav", "vnd.wave"})


def _is_header(data: bytes) -> bool:
    """Whether a WAVE file ends where its sound should begin."""
    return data[:4] in _WAVE and len(data) <= _MORE_THAN_A_HEADER and data[-8:-4] == b"data"


def _is_silent(data: bytes) -> bool:
    """Whether all bytes behind the header of a WAVE file are the same, so that nothing can be heard.

    A test model in place of a real one may answer so.
    """
    begin = data.find(b"data", 12) + 8
    samples = data[begin:]
    return data[:4] in _WAVE and begin > 12 and len(samples) > 1 and samples.count(samples[:1]) == len(samples)


def _expect_whole(probe: Probe, exchange: Exchange, data: bytes) -> None:
    probe.must(
        not _is_cut_wave(data),
        "the whole sound",
        f"{len(data)} of the {_stated_size(data)} bytes that the WAVE file states",
        exchange,
        remedy="Have the tenant, and every proxy before it, pass audio on to its end, whatever its size.",
        cause="audio:cut",
    )


def _is_cut_wave(data: bytes) -> bool:
    """Whether a WAVE file is shorter than it states, but for one that was written before its size was known."""
    return len(data) < _stated_size(data) <= _UNKNOWN_SIZE


def _stated_size(data: bytes) -> int:
    """The size that a WAVE file states; 0 of anything else, and of a mere header."""
    is_wave = data[:4] == b"RIFF" and len(data) >= _MORE_THAN_A_HEADER
    return 8 + int(struct.unpack_from("<I", data, 4)[0]) if is_wave else 0


@check(
    "audio.speaks_as_asked",
    claim="A text is spoken with the voice that the client names, as OpenAI's SDKs require one.",
    remedy="Have the tenant accept `voice` in a speech request.",
    source="GT client runbooks (openai-sdk-curl), GT route mapping; OpenAI API reference, Create speech",
    clauses=("S3",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("audio.speaks",),
    rows=native(Route.SPEECH),
)
async def speaks_as_asked(probe: Probe) -> None:
    """A voice and response_format wav give 2xx audio; a format that is refused by its name is left out, and advised.

    No page says which voices there are, so that one which is refused by its name is advised as well.
    """
    tenant, key = probe.tenant, probe.credential.name
    exchange = await _send_letters(probe, speech_as_asked(probe), speech_as_asked(probe, plainly=True))
    if _refused_for(exchange, "format"):
        probe.advise("response_format wav is refused in a speech request", exchange)
        text = requests.spoken(probe.run_id, key, "yes")
        exchange = await probe.send(requests.speech(tenant, key, text, fields={"voice": _VOICE}))
    if _refused_for(exchange, rf"\b{_VOICE}\b"):
        probe.advise(f"the voice {_VOICE} is not one of the tenant's: name one of those that it has", exchange)
        return
    body = _expect_audio(probe, exchange)
    if b"response_format" in exchange.request.body:
        is_wave = body[:4] in _WAVE
        probe.should(is_wave, f"response_format wav gives bytes that begin with {body[:8].hex(' ')}", exchange)


def speech_as_asked(probe: Probe, *, plainly: bool = False) -> Request:
    """Speech as OpenAI's SDKs send it: with a voice, here in one format besides; with a letter beyond ASCII."""
    key = probe.credential.name
    text = requests.spoken(probe.run_id, key, "yes" if plainly else "é")
    fields = {"voice": _VOICE, "response_format": "wav"}
    return requests.compressible(requests.speech(probe.tenant, key, text, fields=fields))


def transcription_as_asked(probe: Probe) -> Request:
    """A transcription as OpenAI's SDKs send it, of a file of a hundred kilobytes: with its form and language."""
    key = probe.credential.name
    fields = {"response_format": "json", "language": "en"}
    request = requests.transcription(probe.tenant, key, sound=requests.longer_wav(key), fields=fields)
    return requests.compressible(request)


async def _send_letters(probe: Probe, lettered: Request, plain: Request) -> Exchange:
    """What comes to a text with a letter beyond ASCII; to one without, where the letter alone is what fails.

    A model may take no such letter: what is refused for it is advised.
    """
    exchange = await probe.send(lettered)
    response = exchange.response
    if response is None or response.succeeded or _refused_for(exchange, rf"format|voice|size|\b{_VOICE}\b"):
        return exchange
    again = await probe.send(plain)
    if again.response is None or not again.response.succeeded:
        return exchange
    found = f"{describe(response)}, and HTTP {again.response.status} to a text without"
    if response.refused:
        probe.advise(f"a text with a letter beyond ASCII is refused: {found}", exchange)
    else:
        expected = "a text with a letter beyond ASCII is taken, as one without is"
        probe.fail(expected, found, exchange, remedy=_PASS_LETTERS, cause=LETTERS)
    return again


LETTERS = "media:letters"
_PASS_LETTERS = "Have the tenant, and every proxy before it, pass texts to speak and to draw on in UTF-8."


def _refused_for(exchange: Exchange, what: str) -> bool:
    """Whether it is refused as a wrong request, with a reason that names this."""
    response = exchange.response
    return (
        response is not None
        and response.complete
        and response.status in _WRONG_REQUEST
        and re.search(what, extract_reason(response), re.IGNORECASE) is not None
    )


@check(
    "audio.transcribes_as_asked",
    claim="A WAV file is transcribed in the form and the language that the client names.",
    remedy="Have the tenant accept `response_format` and `language` in the form of a transcription.",
    source="GT client runbooks (openai-sdk-curl), GT route mapping; OpenAI API reference, Create transcription",
    clauses=("S4",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("audio.transcribes",),
    rows=native(Route.TRANSCRIPTIONS),
)
async def transcribes_as_asked(probe: Probe) -> None:
    """response_format json and language en give 2xx JSON with a string text, as without them, of a larger file.

    The text is that of this file: where it is that of another one, or there is none, a spoken text decides whether
    files are read.
    """
    tenant, key = probe.tenant, probe.credential.name
    plain = requests.transcription(tenant, key)
    before, exchange = await probe.send_all([plain, transcription_as_asked(probe)])
    expected = "2xx JSON with a string text, with response_format and language as OpenAI's SDKs send them"
    probe.json(exchange, "transcription", expected, modality=Modality.TRANSCRIPTION)
    if _said_in(exchange) == _said_in(before):
        await _expect_read(probe, exchange, _said_in(exchange))


def _said_in(exchange: Exchange) -> str:
    """The text of a transcription; empty where it has none."""
    try:
        body = exchange.response.json() if exchange.response is not None and exchange.response.succeeded else {}
    except NotJson:
        return ""
    text = body.get("text") if isinstance(body, dict) else None
    return text.strip() if isinstance(text, str) else ""


async def _expect_read(probe: Probe, exchange: Exchange, text: str) -> None:
    """Two tones got one text: a model may hear the same words in both, or none. In what is spoken it hears others.

    Where the tenant speaks every text alike, its models stand in for real ones: nobody knows what they should hear. So
    it is where a sentence takes no longer than two words, and no words are heard in either.
    """
    tenant, key = probe.tenant, probe.credential.name
    found = f"one text for different files: {shortened(text, 60)!r}"
    sound, other = b"", b""
    if probe.credential.may(Route.SPEECH):
        texts = (_LONGER_TEXT, requests.spoken(probe.run_id, key))
        spoken = await probe.send_all([requests.speech(tenant, key, one) for one in texts])
        sound, other = [one.response.body if one.response and one.response.succeeded else b"" for one in spoken]
    if not is_audio(sound) or _is_alike(sound, other) or (not text and len(sound) < _LONGER * len(other)):
        probe.should(not text, f"whether files are read is unknown: {found}", exchange)
        return
    heard = await probe.send(requests.transcription(tenant, key, sound=sound))
    if not text:
        is_answered = heard.response is not None and heard.response.succeeded
        expected, found = "what the tenant speaks itself is transcribed", "no words, neither of tones nor of a sentence"
        probe.must(_said_in(heard) or not is_answered, expected, found, heard, remedy=_HEAR, cause="audio:no words")
        return
    probe.must(
        _said_in(heard) != text,
        "each file gets its own transcription",
        f"{found}, and for a spoken sentence",
        exchange,
        remedy="Have the tenant, and every cache before it, look at the whole form of a transcription, its file too.",
        cause="audio:of another",
    )


def _is_alike(sound: bytes, other: bytes) -> bool:
    """Whether two sounds are one, or the same tone for a longer time: the header of a file states its length."""
    length = min(len(sound), len(other))
    return sound == other or (length > 2 * _HEAD and sound[_HEAD:length] == other[_HEAD:length])


_HEAD = 64
_LONGER = 1.5
_HEAR = (
    "Look for this request in the tenant's log: the tenant loses the text, or the agent's speech-to-text model hears "
    "nothing in what its text-to-speech model says."
)
_LONGER_TEXT = "The ferry leaves the harbour at noon and returns before the evening."


@check(
    "images.generates",
    claim="A prompt gives an image.",
    remedy="Give the agent an image model, and the key inference:image for its alias.",
    source="GT API reference, Generate an image; "
    "GT API keys and access, Key purposes; "
    "OpenAI API reference, Create image",
    clauses=("S5", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.IMAGES,
    rows=native(Route.IMAGES),
    shows=(Fact.SCOPE_IMAGE,),
)
async def generates(probe: Probe) -> None:
    """2xx, data not empty, each item a known image format as base64, or a url.

    A url on the tenant's own host is fetched, without the key; what another host holds is not verified.
    """
    tenant, key = probe.tenant, probe.credential.name
    exchange = await probe.send(requests.image(tenant, key, requests.drawn(probe.run_id, key)))
    await require_published(probe, exchange, Modality.IMAGE)
    await _expect_images(probe, exchange)


@check(
    "images.generates_as_asked",
    claim="A prompt gives an image with the size, the number and the form that the client names.",
    remedy="Have the tenant accept `size`, `n` and `response_format` in an image request.",
    source="GT client runbooks (openai-sdk-curl), GT route mapping; OpenAI API reference, Create image",
    clauses=("S6",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("images.generates",),
    rows=native(Route.IMAGES),
)
async def generates_as_asked(probe: Probe) -> None:
    """A size of 1024x1024, n 1 and response_format b64_json give 2xx JSON whose data holds images.

    That they are as asked for is advised: no page says what a model can draw.
    """
    fields = {"size": _SIZE, "n": 1, "response_format": "b64_json"}
    tenant, key = probe.tenant, probe.credential.name
    lettered, plain = (
        requests.compressible(requests.image(tenant, key, requests.drawn(probe.run_id, key, colour), fields=fields))
        for colour in ("bleu foncé", "blue")
    )
    exchange = await _send_letters(probe, lettered, plain)
    items = await _expect_images(probe, exchange)
    probe.should(len(items) == 1, f"n 1 gives {len(items)} images", exchange)
    as_base64 = all(item.get("b64_json") for item in items)
    probe.should(as_base64, "response_format b64_json gives a url, which a client that asks so does not read", exchange)
    sizes = {png_size(data) for item in items if (data := _decoded(item.get("b64_json") or ""))} - {None}
    probe.should(sizes <= {_SIZE}, f"size {_SIZE} gives {', '.join(map(str, sizes))}", exchange)


async def _expect_images(probe: Probe, exchange: Exchange) -> list[dict[str, Any]]:
    """The items of an image list; a violation for each that is no image."""
    body: dict[str, Any] = probe.json(exchange, "images", "2xx JSON whose data holds images", modality=Modality.IMAGE)
    items: list[dict[str, Any]] = body["data"]
    for number, item in enumerate(items):
        if encoded := item.get("b64_json"):
            data = _decoded(encoded)
            found = f"image {number} is not"
            if probe.must(data is not None, "b64_json is base64", found, exchange, remedy=_SEND_IMAGE, cause=_NO_IMAGE):
                _expect_image(probe, exchange, data or b"", "b64_json decodes to a known image format", number)
        else:
            await _expect_address(probe, exchange, item["url"], number)
    return items


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)  # MIME's line breaks are no other data
    except ValueError:
        return None


def _expect_image(probe: Probe, exchange: Exchange, data: bytes, expected: str, number: int) -> None:
    found = f"image {number} begins with {data[:8].hex(' ')}"
    if probe.must(is_image(data), expected, found, exchange, remedy=_SEND_IMAGE, cause=_NO_IMAGE):
        damage = _damage_of(data)
        found = f"image {number} is {damage}, of {len(data)} bytes"
        probe.must(not damage, "the whole image", found, exchange, remedy=_SEND_ALL, cause=_IMAGE_CUT)


def _damage_of(data: bytes) -> str:
    """What is wrong with an image that states its parts, in words; empty where nothing is, or the format does not."""
    if data.startswith(_PNG):
        return _damage_of_png(data)
    if data.startswith(_JPEG):
        scan = data.find(_JPEG_SCAN)
        return "a JPEG that ends within its scan" if scan >= 0 and data.find(_JPEG_END, scan) < 0 else ""
    is_cut = data[:4] == b"RIFF" and 8 + int(struct.unpack_from("<I", data, 4)[0]) > len(data)
    return "a WebP that is shorter than it states" if is_cut else ""


def _damage_of_png(data: bytes) -> str:
    """The same of a PNG up to its last chunk; what follows that shows nothing.

    Decoders reject a chunk with a wrong checksum where they need it, which its first letter says.
    """
    if len(data) >= _PNG_HEADER and data[12:16] != b"IHDR":
        return ""
    at, kind, kinds = len(_PNG), b"", set()
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"")
        end = at + 12 + size
        if not kind or end > len(data):
            return "a PNG that ends within a part of it"
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if kind[:1].isupper() and zlib.crc32(data[at + 4 : end - 4]) != checksum:
            return f"a PNG whose {kind.decode('latin-1')} chunk has another checksum than its bytes"
        kinds.add(kind)
        at = end
    return "" if b"IDAT" in kinds else "a PNG without image data"


async def _expect_address(probe: Probe, exchange: Exchange, url: str, number: int) -> None:
    """A url that is an image: in itself (data:), or fetched without the key where the tenant's own host has it."""
    if url.startswith("data:image/"):
        data = _decoded(url.partition(";base64,")[2])
        expected = "a data: url of an image holds it as base64"
        found = f"image {number} does not"
        if ";base64," in url and probe.must(data, expected, found, exchange, remedy=_SEND_IMAGE, cause=_NO_IMAGE):
            _expect_image(probe, exchange, data or b"", "the image in a data: url is of a known format", number)
        return
    valid = url.startswith(("https://", "http://", "/"))
    found = f"image {number} is neither"
    if not probe.must(valid, "each image is a url or b64_json", found, exchange, cause=_NO_IMAGE):
        return
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(probe.tenant.base_url))
    whole = origin + url if url.startswith("/") and not url.startswith("//") else url
    if not whole.startswith(f"{origin}/"):
        if is_loopback(_host_of(whole)) and not is_loopback(_host_of(origin)):
            expected = "the url of an image leads to where the client reaches it"
            found = f"{shortened(whole, 80)}, which is on the machine of whoever asks for it"
            probe.fail(expected, found, exchange, remedy=_NAME_OWN_HOST, cause="image:address")
            return
        probe.advise("an image is a url on another host, where the suite sends nothing: unverified", exchange)
        return
    fetched = await _fetch(probe, Request("GET", whole, None))
    response = fetched.response
    if response is not None and response.complete and response.status in _UNVERIFIED:
        probe.advise(f"the url of an image is unverified: without the key it gives {format_status(response)}", fetched)
        return
    expected = "the url of an image gives it, without the key"
    if probe.expect(fetched, expected, lambda got: got.succeeded).succeeded:
        _expect_image(probe, fetched, response.body if response else b"", expected, number)


def _host_of(url: str) -> str:
    """The host of a URL; empty where it is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


_NAME_OWN_HOST = (
    "Have the tenant give the urls of images with the host by which clients reach it (the external URL of the server "
    "of the image model), or give images as b64_json."
)


async def _fetch(probe: Probe, request: Request) -> Exchange:
    """What is at the address of an image, asked for again for some seconds while it is not there yet."""
    fetched = await probe.send(request)
    for number, pause in enumerate(_APPEARS_S, start=1):
        if fetched.response is None or fetched.response.status not in _NOT_YET:
            break
        await anyio.sleep(pause)
        fetched = await probe.send(request, again=number)
    return fetched


_APPEARS_S = (0.3, 0.9, 1.8)
_NOT_YET = frozenset({202, 404, 409, 425})


def png_size(data: bytes) -> str | None:
    """``1024x1024`` of a PNG; None of anything else."""
    if data[:8] != _PNG or len(data) < _PNG_HEADER:
        return None
    width, height = struct.unpack(">II", data[16:_PNG_HEADER])
    return f"{width}x{height}"


def is_audio_type(kind: str) -> bool:
    """Whether a content type may be that of a sound."""
    return kind.startswith("audio/") or kind in {_BYTES, "application/ogg", "video/mp4"}


def is_sound(response: Response) -> bool:
    """Whether it holds a sound, as far as its bytes and its type tell: some formats begin with nothing of their own."""
    kind, data = response.media_type, response.body
    is_raw = bool(data) and is_audio_type(kind) and kind not in _IN_FILES
    return is_audio(data) or (is_raw and not is_image(data) and not _is_readable(response))


def is_whole_sound(response: Response) -> bool:
    """The same, and that a file is whole, as far as it states its size."""
    return is_sound(response) and not _is_header(response.body) and not _is_cut_wave(response.body)


def _is_readable(response: Response) -> bool:
    """Whether it is a text: JSON, a page, or words."""
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def is_audio(data: bytes) -> bool:
    """Whether the bytes begin as WAV, AIFF, MP3, AAC, Ogg, FLAC, MP4, WebM, AU, CAF or AMR does; not as UTF-16."""
    return (
        (data[:4] in _WAVE and data[8:12] == b"WAVE")
        or data.startswith((b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b".snd", b"caff", b"#!AMR"))
        or (data[:4] == b"FORM" and data[8:12] in {b"AIFF", b"AIFC"})
        or data[4:8] == b"ftyp"
        or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] != 0xFE)
    )


def is_image(data: bytes) -> bool:
    """Whether the bytes begin as PNG, JPEG, GIF, WebP, AVIF, HEIC, BMP, TIFF, JPEG 2000 or XL, or SVG does."""
    begin = data[:_PROLOGUE].lstrip(b"\xef\xbb\xbf \t\r\n")
    return (
        data.startswith(_BEGINNINGS)
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[4:8] == b"ftyp" and data[8:12] in _BRANDS)
        or (begin.startswith((b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")) and _SVG in begin)
    )


_BEGINNINGS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*"),
    *(b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  "),
)
_BRANDS = frozenset(b"avif avis mif1 msf1 heic heix hevc hevx heim heis".split())
_SVG = b"http://www.w3.org/2000/svg"
"""The namespace that makes it one."""
_PROLOGUE = 2_000

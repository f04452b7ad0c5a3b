"""The audio and image checks: bytes that are what they say they are."""

import base64
import io
import re
import wave
import zlib
from typing import Any

import pytest

from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    CREATED,
    DROPPED,
    HTML_PAGE,
    PNG,
    WAV,
    FakeSender,
    Reply,
    Rule,
    answer,
    by,
    changed,
    judged,
    refusal,
    sent_json,
    to,
)

HEARS, SPEAKS, DRAWS = "audio.transcribes", "audio.speaks", "images.generates"
ORIGIN = BASE_URL.removesuffix("/api/tenant")
ROUTE = {HEARS: "audio/transcriptions", SPEAKS: "audio/speech", DRAWS: "images/generations"}


def encoded(data: bytes) -> str:
    """The bytes as base64."""
    return base64.b64encode(data).decode()


def images(*items: object) -> dict[str, Any]:
    """OpenAI's image list of these."""
    return {"created": CREATED, "data": list(items)}


def sound(data: bytes, kind: str = "audio/mpeg") -> Response:
    """An answer of these bytes."""
    return answer(data, kind=kind)


def begins(data: bytes) -> str:
    """How a violation tells the first bytes."""
    return f"begin with {data[:8].hex(' ')}" if data else "begin with "


GONE = Reply(failure=Failure.CLOSED, detail="closed")
JSON_BYTES = b'{"error": {"message": "no voice"}}'
VIOLATIONS: dict[str, tuple[str, object, str]] = {
    **{
        f"{check.partition('.')[2]}: {name}": (check, given, said)
        for check in ROUTE
        for name, given, said in (
            ("a 5xx", refusal(503, "Down."), "HTTP 503: Down."),
            ("a 4xx", refusal(403, "No scope."), "HTTP 403: No scope."),
            ("no answer", GONE, "no answer: closed"),
            ("a redirect", answer("", 302, location="/x"), "HTTP 302 redirect to /x, not followed"),
        )
    },
    "transcribes: a web page": (HEARS, HTML_PAGE, "but it is an HTML page"),
    "transcribes: plain text": (
        HEARS,
        answer("Beep.", kind="text/plain"),
        "HTTP 200 (text/plain), but the body is not JSON",
    ),
    "transcribes: no text": (HEARS, {"transcript": "Beep."}, "the key 'text' is missing"),
    "transcribes: text that is none": (HEARS, {"text": None}, "text: "),
    "transcribes: an error": (HEARS, {"error": {"message": "no"}}, "found HTTP 200 with an error inside: no"),
    "speaks: a web page": (SPEAKS, HTML_PAGE, begins(HTML_PAGE.body)),
    "speaks: JSON": (SPEAKS, {"audio": "x"}, begins(b'{"audio": "x"}')),
    "speaks: JSON that calls itself audio": (SPEAKS, sound(JSON_BYTES), begins(JSON_BYTES)),
    "speaks: JSON that calls itself raw audio": (SPEAKS, sound(JSON_BYTES, "audio/pcm"), begins(JSON_BYTES)),
    "speaks: nothing": (SPEAKS, sound(b""), "found an empty body"),
    "speaks: no known format": (
        SPEAKS,
        sound(b"\x01\x02\x03\x04\x05\x06\x07\x08\x09"),
        "begin with 01 02 03 04 05 06 07 08",
    ),
    "speaks: a part of a WAVE file": (
        SPEAKS,
        sound(b"RIFF" + (2_000).to_bytes(4, "little") + b"WAVE" + bytes(988)),
        "1000 of the 2008 bytes",
    ),
    "speaks: RIFF that is no WAVE": (SPEAKS, sound(b"RIFF\0\0\0\0WEBP"), "begin with 52 49 46 46"),
    "speaks: an image": (SPEAKS, sound(PNG), "begin with 89 50 4e 47"),
    "speaks: one byte": (SPEAKS, sound(b"\xff"), "begin with ff"),
    "speaks: a cut body": (
        SPEAKS,
        Response(200, (("content-type", "audio/wav"),), WAV, complete=False, end="it was cut"),
        "HTTP 200, but it was cut",
    ),
    "generates: a web page": (DRAWS, HTML_PAGE, "but it is an HTML page"),
    "generates: an image itself": (
        DRAWS,
        answer(PNG, kind="image/png"),
        "HTTP 200 (image/png), but the body is not UTF-8",
    ),
    "generates: no data": (DRAWS, {"created": CREATED}, "the key 'data' is missing"),
    "generates: no image": (DRAWS, images(), "data: "),
    "generates: an empty one": (DRAWS, images({}), "data.0"),
    "generates: a null one": (DRAWS, images({"url": None, "b64_json": None}), "data.0"),
    "generates: no base64": (DRAWS, images({"b64_json": "*"}), "b64_json is base64; found image 0 is not"),
    "generates: a data address as base64": (
        DRAWS,
        images({"b64_json": f"data:image/png;base64,{encoded(PNG)}"}),
        "b64_json is base64; found image 0 is not",
    ),
    "generates: no known format": (
        DRAWS,
        images({"b64_json": encoded(b"hello!!!")}),
        "image 0 begins with 68 65 6c 6c",
    ),
    "generates: a second one that is none": (
        DRAWS,
        images({"b64_json": encoded(PNG)}, {"b64_json": encoded(WAV)}),
        "image 1 begins with 52 49 46 46",
    ),
    "generates: words as an address": (
        DRAWS,
        images({"url": "see attachment"}),
        "each image is a url or b64_json; found image 0 is neither",
    ),
    "generates: a data address that holds no base64": (
        DRAWS,
        images({"url": "data:image/png;base64,*"}),
        "a data: url of an image holds it as base64; found image 0 does not",
    ),
    "generates: a script as an address": (DRAWS, images({"url": "javascript:alert(1)"}), "image 0 is neither"),
    **{
        f"generates: an address on {host}": (
            DRAWS,
            images({"url": f"http://{host}/generated-images/1.png"}),
            f"http://{host}/generated-images/1.png, which is on the machine of whoever asks for it",
        )
        for host in ("localhost:8080", "127.0.0.1:8080", "[::1]")
    },
}


@pytest.mark.parametrize("url", ["https://elsewhere.example/1.png", "http://[::1/1.png", "//[/1.png"])
def test_an_image_on_another_host_is_not_fetched(url: str) -> None:
    """Nor is what is no address at all: it is said to be unverified."""
    result = judged(DRAWS, to(ROUTE[DRAWS], answer(images({"url": url}))))
    assert result.outcome is Outcome.CONFORMS
    assert "an image is a url on another host, where the suite sends nothing: unverified" in [
        one.text for one in result.advisories
    ]


@pytest.mark.parametrize(("check", "given", "said"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_wrong_answer_is_a_violation(check: str, given: object, said: str) -> None:
    """An answer that breaks what must hold violates, and the reason says what came."""
    response = given if isinstance(given, Response | Reply) else answer(given)
    result = judged(check, to(ROUTE[check], response))
    assert result.outcome is Outcome.VIOLATES
    assert said in " | ".join(f"{violation.expected}; found {violation.found}" for violation in result.violations)
    assert result.remedy


TOLD: dict[str, tuple[str, object, list[str]]] = {
    "speaks: nothing": (SPEAKS, sound(b""), ["an empty body"]),
    "speaks: no known format": (
        SPEAKS,
        sound(bytes(range(1, 20))),
        ["bytes that begin with 01 02 03 04 05 06 07 08"],
    ),
    "generates: no base64, and after it no image": (
        DRAWS,
        images({"b64_json": "*"}, {"b64_json": encoded(b"hello, world")}),
        ["image 0 is not", "image 1 begins with 68 65 6c 6c 6f 2c 20 77"],
    ),
}


@pytest.mark.parametrize(("check", "given", "found"), TOLD.values(), ids=TOLD)
def test_each_trouble_is_told_once(check: str, given: object, found: list[str]) -> None:
    """What is wrong is one violation each, and unknown bytes are told by their first eight."""
    response = given if isinstance(given, Response) else answer(given)
    result = judged(check, to(ROUTE[check], response))
    assert [violation.found for violation in result.violations] == found


AUDIO = {
    "WAV": WAV,
    "AIFF": b"FORM\0\0\0\0AIFF",
    "AIFF-C": b"FORM\0\0\0\0AIFC",
    "MP3 with a tag": b"ID3\x04\0",
    "MP3": b"\xff\xfb\x90\x64",
    "MP3 by its first two bytes": b"\xff\xfb",
    "AAC": b"\xff\xf1\x50\x80",
    "Ogg": b"OggS\0\x02",
    "FLAC": b"fLaC\0\0",
    "MP4": b"\0\0\0\x20ftypM4A ",
    "WebM": b"\x1aE\xdf\xa3\x01",
    "AU": b".snd\0\0",
}


@pytest.mark.parametrize("data", AUDIO.values(), ids=AUDIO)
def test_known_audio_is_taken(data: bytes) -> None:
    """Bytes that begin as a known audio format does conform without a remark, however few or many they are."""
    for given in (data, data + bytes(99)):
        result = judged(SPEAKS, to(ROUTE[SPEAKS], sound(given, "audio/wav" if data == WAV else "audio/mpeg")))
        assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())


NO_AUDIO = [b"FORM\0\0\0\x008SVX", b"XXXX\0\0\0\0WAVE", b"XXXX\0\0\0\0AIFF", b"\xff\xd8\xff\xe0", b"\0ftypM4A"]


@pytest.mark.parametrize("data", NO_AUDIO, ids=repr)
def test_what_only_resembles_audio_is_none(data: bytes) -> None:
    """Half of a known beginning is no known format."""
    assert judged(SPEAKS, to(ROUTE[SPEAKS], sound(data))).outcome is Outcome.VIOLATES


TYPES = [
    "audio/mpeg",
    "audio/wav; rate=16000",
    "application/octet-stream",
    "application/ogg",
    "video/mp4",
    "Audio/MPEG",
]


@pytest.mark.parametrize("kind", TYPES)
def test_types_of_audio_are_taken(kind: str) -> None:
    """An audio type, or plain bytes, is a type of audio."""
    assert judged(SPEAKS, to(ROUTE[SPEAKS], sound(WAV, kind))).outcome is Outcome.CONFORMS


@pytest.mark.parametrize(
    ("kind", "is_named"),
    {"audio/mpeg": False, "audio/ogg": False, "audio/x-wav": True, "audio/vnd.wave": True, "audio/pcm": True}.items(),
)
def test_a_wave_file_that_is_named_otherwise_is_advised(kind: str, *, is_named: bool) -> None:
    """Servers fall back on WAVE, and clients that go by the type do not play it as MP3."""
    result = judged(SPEAKS, to(ROUTE[SPEAKS], sound(WAV, kind)))
    advice = [] if is_named else [f"speech should be what its content type says; {kind} is a WAVE file"]
    assert (result.outcome, [one.text for one in result.advisories]) == (Outcome.CONFORMS, advice)


@pytest.mark.parametrize("kind", ["audio/pcm", "audio/L16;rate=24000", "audio/basic", "audio/x-pcm"])
def test_raw_samples_are_known_by_their_type(kind: str) -> None:
    """Raw samples have no header, so their type is taken at its word."""
    assert judged(SPEAKS, to(ROUTE[SPEAKS], sound(b"\x01\x02\x03\x04", kind))).outcome is Outcome.CONFORMS


IMAGES = {
    "PNG": PNG,
    "JPEG": b"\xff\xd8\xff\xe0",
    "GIF": b"GIF89a",
    "old GIF": b"GIF87a",
    "WebP": b"RIFF\0\0\0\0WEBP",
    "AVIF": b"\0\0\0\x20ftypavif",
    "HEIF": b"\0\0\0\x20ftypmif1",
    "HEIC": b"\0\0\0\x20ftypheic",
    "BMP": b"BM\0\0",
    "TIFF": b"II*\0",
    "big-endian TIFF": b"MM\0*",
}


@pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES)
def test_known_images_are_taken(data: bytes) -> None:
    """Base64 that decodes to a known image format conforms without a remark."""
    for given in (data, data + bytes(99)):
        result = judged(DRAWS, to(ROUTE[DRAWS], answer(images({"b64_json": encoded(given)}))))
        assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())


NO_IMAGES = [b"RIFF\0\0\0\0WAVE", b"XXXX\0\0\0\0WEBP", b"\0\0\0\x20ftypM4A ", b"GIF88a", b"\x89PNG", b"<svg/>"]


@pytest.mark.parametrize("data", NO_IMAGES, ids=repr)
def test_what_only_resembles_an_image_is_none(data: bytes) -> None:
    """Half of a known beginning is no known format."""
    result = judged(DRAWS, to(ROUTE[DRAWS], answer(images({"b64_json": encoded(data)}))))
    assert result.outcome is Outcome.VIOLATES


JPEG = b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xda\0\x02" + bytes(40)
"""A JPEG that ends within its scan."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its length and checksum."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


HEAD = PNG[:8] + chunk(b"IHDR", b"\0\0\0\x01\0\0\0\x01\x08\0\0\0\0")
PICTURE, END = chunk(b"IDAT", zlib.compress(b"\0\xff")), chunk(b"IEND", b"")
DAMAGED = {
    "PNG with a byte lost to a text encoding": (
        HEAD + PICTURE[:-6] + b"?" + PICTURE[-5:] + END,
        "has another checksum than its bytes",
    ),
    "PNG without its picture": (HEAD + END, "a PNG without image data"),
    "PNG cut": (HEAD + PICTURE[:-6], "ends within a part of it"),
    "JPEG cut": (JPEG, "a JPEG that ends within its scan"),
    "WebP cut": (b"RIFF" + (2_000).to_bytes(4, "little") + b"WEBP" + bytes(40), "shorter than it states"),
}


@pytest.mark.parametrize(("data", "found"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_image_is_none(data: bytes, found: str) -> None:
    """An image that begins right and that no decoder opens violates, and the reason says what is wrong with it."""
    result = judged(DRAWS, to(ROUTE[DRAWS], answer(images({"b64_json": encoded(data)}))))
    assert result.outcome is Outcome.VIOLATES
    assert found in result.violations[0].found


WHOLE = {
    "JPEG": JPEG + b"\xff\xd9",
    "PNG": HEAD + PICTURE + END,
    "PNG with a comment of another checksum": HEAD + chunk(b"tEXt", b"a")[:-1] + b"?" + PICTURE + END,
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_whole_image_is_taken(data: bytes) -> None:
    """What follows the end of an image shows nothing, and decoders pass over what they do not need."""
    result = judged(DRAWS, to(ROUTE[DRAWS], answer(images({"b64_json": encoded(data + bytes(9))}))))
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())


def test_silence_is_advised() -> None:
    """A WAVE file in which nothing can be heard may come from a test model."""
    silent = io.BytesIO()
    with wave.open(silent, "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(1_600))
    result = judged(SPEAKS, to(ROUTE[SPEAKS], sound(silent.getvalue(), "audio/wav")))
    assert result.outcome is Outcome.CONFORMS
    assert [advisory.text for advisory in result.advisories] == [
        "speech should be audible; the WAVE file holds nothing but silence"
    ]


TOLERATED: dict[str, tuple[str, object, str]] = {
    "transcribes: nothing heard": (HEARS, {"text": ""}, ""),
    "transcribes: much about it": (HEARS, {"text": "Beep.", "duration": 1.0, "segments": []}, ""),
    "transcribes: 201": (HEARS, answer({"text": "Beep."}, 201), ""),
    "generates: an address": (DRAWS, images({"url": "https://pictures.example/1.png"}), "on another host"),
    "generates: an address without a scheme": (DRAWS, images({"url": "//pictures.example/1.png"}), "on another host"),
    "generates: a host that begins alike": (
        DRAWS,
        images({"url": f"{ORIGIN}.acme.example/1.png"}),
        "on another host",
    ),
    "generates: a data address": (DRAWS, images({"url": f"data:image/png;base64,{encoded(PNG)}"}), ""),
    "generates: two": (
        DRAWS,
        images({"b64_json": encoded(PNG)}, {"url": "http://pictures.example/1.png"}),
        "on another host",
    ),
    "generates: no moment": (
        DRAWS,
        changed(images({"b64_json": encoded(PNG)}), {"created": DROPPED}),
        "the key 'created' is missing",
    ),
}


@pytest.mark.parametrize(("check", "given", "said"), TOLERATED.values(), ids=TOLERATED)
def test_a_tolerable_answer_is_no_violation(check: str, given: object, said: str) -> None:
    """What no client minds conforms, with a remark where OpenAI's shape asks for more, and none where it does not."""
    response = given if isinstance(given, Response) else answer(given)
    result = judged(check, to(ROUTE[check], response))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    remarks = [advisory.text for advisory in result.advisories]
    assert any(said in text for text in remarks) if said else not remarks


@pytest.mark.parametrize("check", ROUTE)
def test_a_conforming_tenant_gives_nothing_to_say(check: str) -> None:
    """A tenant that answers as OpenAI does conforms without a remark, with --strict as well."""
    result = judged(check, strict=True)
    assert (result.outcome, result.reason, result.advisories) == (Outcome.CONFORMS, "", ())


def test_half_a_second_of_sound_is_sent() -> None:
    """The transcription carries a WAV of half a second, mono, and the published name."""
    sender = FakeSender()
    judged(HEARS, sender=sender)
    file, model = sender.sent[-1].parts
    assert (file.name, file.content_type, model.name, model.content) == ("file", "audio/wav", "model", ALIAS.encode())
    with wave.open(io.BytesIO(file.content)) as sound_file:
        assert sound_file.getnframes() * 2 == sound_file.getframerate() == 8_000
        assert (sound_file.getnchannels(), sound_file.getsampwidth()) == (1, 2)
        assert any(sound_file.readframes(8_000))


def test_little_is_asked_for() -> None:
    """One word is spoken and one image is drawn, and format and voice are left to the agent."""
    sender = FakeSender()
    judged(SPEAKS, sender=sender)
    spoken = sent_json(sender.sent[-1])
    assert spoken.keys() == {"model", "input"}
    assert re.fullmatch("ok [0-9a-f]{4}", spoken["input"])
    sender = FakeSender()
    judged(DRAWS, sender=sender)
    assert sent_json(sender.sent[-1]).keys() == {"model", "prompt"}
    assert len(sender.sent) == 3  # two controls and the image


def at(url: str, response: Response) -> Rule:
    """A rule for one address."""
    return lambda request: response if request.url == url else None


ADDRESSES = {"whole": f"{ORIGIN}/pictures/1.png", "of this host": "/pictures/1.png"}


@pytest.mark.parametrize("url", ADDRESSES.values(), ids=ADDRESSES)
def test_an_image_on_the_tenants_own_host_is_fetched_without_the_key(url: str) -> None:
    """What the address gives is looked at, and the request for it carries no key."""
    place = ADDRESSES["whole"]
    sender = FakeSender(to(ROUTE[DRAWS], answer(images({"url": url}))), at(place, answer(PNG, kind="image/png")))
    result = judged(DRAWS, sender=sender)
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())
    assert [request.key for request in sender.sent if request.url == place] == [None]


@pytest.mark.parametrize("status", [202, 404, 409, 425])
def test_an_image_may_appear_some_moments_later(status: int) -> None:
    """It is fetched again while it is not there yet, and no more once it is."""
    place = ADDRESSES["whole"]
    given = iter([refusal(status, "Not yet."), answer(PNG, kind="image/png")])
    sender = FakeSender(
        to(ROUTE[DRAWS], answer(images({"url": place}))), lambda request: next(given) if request.url == place else None
    )
    assert judged(DRAWS, sender=sender).outcome is Outcome.CONFORMS
    assert [request.url for request in sender.sent].count(place) == 2


@pytest.mark.parametrize(("check", "route"), ROUTE.items(), ids=ROUTE)
def test_a_name_that_is_not_listed_is_the_operators(check: str, route: str) -> None:
    """What refuses it is no finding of the tenant."""
    listed = answer({"object": "list", "data": [{"id": "image-studio", "object": "model"}]})
    result = judged(check, to(route, refusal(404, "No such model.")), by("chat", listed, at=["/v1/models"]))
    assert result.outcome is Outcome.BLOCKED
    assert result.remedy.startswith("Correct models in tenant.yaml")


FETCHED = {
    "nothing there": (refusal(404, "No such image."), Outcome.VIOLATES, "HTTP 404: No such image."),
    "a 5xx": (refusal(500, "Down."), Outcome.VIOLATES, "HTTP 500: Down."),
    "no image": (answer(WAV, kind="image/png"), Outcome.VIOLATES, "begins with 52 49 46 46"),
    "only with the key": (refusal(401, "No key."), Outcome.CONFORMS, "unverified: without the key it gives HTTP 401"),
    "elsewhere": (answer("", 302, location="https://acme.example/1.png"), Outcome.CONFORMS, "unverified"),
}


@pytest.mark.parametrize(("given", "outcome", "said"), FETCHED.values(), ids=FETCHED)
def test_an_address_that_gives_no_image_violates(given: Response, outcome: Outcome, said: str) -> None:
    """An image that nobody can get is none; one that wants a key, or is elsewhere, is not verified."""
    place = ADDRESSES["whole"]
    result = judged(DRAWS, to(ROUTE[DRAWS], answer(images({"url": place}))), at(place, given))
    assert result.outcome is outcome
    texts = [violation.found for violation in result.violations] + [item.text for item in result.advisories]
    assert any(said in text for text in texts)


SPEAKS_AS_ASKED, HEARS_AS_ASKED, DRAWS_AS_ASKED = (f"{check}_as_asked" for check in (SPEAKS, HEARS, DRAWS))


def with_field(route: str, field: str, given: Response) -> Rule:
    """A rule for the requests to a route that name this field."""

    def rule(request: Request) -> Response | None:
        parts = {part.name for part in request.parts}
        named = parts or set(sent_json(request) if request.body else ())
        return given if request.url.endswith(route) and field in named else None

    return rule


REFUSED = {
    "a voice": (SPEAKS_AS_ASKED, ROUTE[SPEAKS], "voice", "Unknown field.", Outcome.VIOLATES),
    "a voice by its name": (SPEAKS_AS_ASKED, ROUTE[SPEAKS], "voice", "No voice alloy.", Outcome.CONFORMS),
    "a format of speech": (
        SPEAKS_AS_ASKED,
        ROUTE[SPEAKS],
        "response_format",
        "response_format must be mp3.",
        Outcome.CONFORMS,
    ),
    "a format of speech, unnamed": (
        SPEAKS_AS_ASKED,
        ROUTE[SPEAKS],
        "response_format",
        "Unknown field.",
        Outcome.VIOLATES,
    ),
    "a language": (HEARS_AS_ASKED, ROUTE[HEARS], "language", "Unknown field.", Outcome.VIOLATES),
    "a format of text": (HEARS_AS_ASKED, ROUTE[HEARS], "response_format", "Unknown field.", Outcome.VIOLATES),
    "a size": (DRAWS_AS_ASKED, ROUTE[DRAWS], "size", "Unknown field.", Outcome.VIOLATES),
    "a form of images": (DRAWS_AS_ASKED, ROUTE[DRAWS], "response_format", "Unknown field.", Outcome.VIOLATES),
}


@pytest.mark.parametrize(("check", "route", "field", "reason", "outcome"), REFUSED.values(), ids=REFUSED)
def test_a_field_that_sdks_send_is_taken(check: str, route: str, field: str, reason: str, outcome: Outcome) -> None:
    """A field that is refused violates; a voice or a format that is refused by its name is remarked."""
    result = judged(check, with_field(route, field, refusal(400, reason)))
    assert result.outcome is outcome
    assert bool(result.advisories) is (outcome is Outcome.CONFORMS)


OTHERWISE: dict[str, tuple[str, Rule, str]] = {
    "another format of speech": (SPEAKS_AS_ASKED, to(ROUTE[SPEAKS], sound(b"ID3\x04\0")), "begin with 49 44 33"),
    "two images": (
        DRAWS_AS_ASKED,
        to(ROUTE[DRAWS], answer(images({"b64_json": encoded(PNG)}, {"b64_json": encoded(PNG)}))),
        "n 1 gives 2 images",
    ),
    "an address": (
        DRAWS_AS_ASKED,
        to(ROUTE[DRAWS], answer(images({"url": "https://pictures.example/1.png"}))),
        "b64_json gives a url",
    ),
    "another size": (
        DRAWS_AS_ASKED,
        to(
            ROUTE[DRAWS],
            answer(images({"b64_json": encoded(PNG[:16] + b"\0\0\0\x08\0\0\0\x04" + bytes(20))})),
        ),
        "size 1024x1024 gives 8x4",
    ),
}


@pytest.mark.parametrize(("check", "rule", "said"), OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_given_otherwise_than_asked_for_is_remarked(check: str, rule: Rule, said: str) -> None:
    """No page says what a model can do: it conforms, with a remark."""
    result = judged(check, rule)
    assert result.outcome is Outcome.CONFORMS
    assert any(said in item.text for item in result.advisories)

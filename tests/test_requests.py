"""The requests that checks send: frugal, valid, and the same wherever the same is asked."""

import base64
import io
import json
import re
import struct
import wave
import zlib
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._uploads import Kind, statement_of
from gt_conformance.checks._words import word_of
from gt_conformance.exchange import Presentation, Request
from gt_conformance.vocabulary import CONVERSATION_HEADER, Modality, Route
from tests.fake_tenant import ALIAS, BASE_URL, TENANT

AGENT = "other-agent"
SOME_TEXT = "The harbour froze in January."
MESSAGE = {"role": "user", "content": requests.ONE_WORD}
UPLOADED = b"This file was written by gt-conformance, run r1.\nIt may be deleted.\n"

BODIES: dict[str, tuple[Request, str, dict[str, Any]]] = {
    "a chat": (
        requests.chat(TENANT, "chat"),
        "chat/completions",
        {"model": ALIAS, "messages": [MESSAGE]},
    ),
    "a chat of messages, with fields": (
        requests.chat(TENANT, "chat", [MESSAGE, MESSAGE], model=AGENT, fields={"stream": True}),
        "chat/completions",
        {"model": AGENT, "messages": [MESSAGE, MESSAGE], "stream": True},
    ),
    "embeddings": (
        requests.embeddings(TENANT, "chat"),
        "embeddings",
        {"model": ALIAS, "input": [SOME_TEXT, "Interest rates rose by two percent.", SOME_TEXT]},
    ),
    "embeddings in an encoding": (
        requests.embeddings(TENANT, "chat", "one", encoding_format="base64", model=AGENT),
        "embeddings",
        {"model": AGENT, "input": "one", "encoding_format": "base64"},
    ),
    "speech": (requests.speech(TENANT, "chat"), "audio/speech", {"model": ALIAS, "input": "ok"}),
    "speech of an agent": (
        requests.speech(TENANT, "chat", model=AGENT),
        "audio/speech",
        {"model": AGENT, "input": "ok"},
    ),
    "an image": (
        requests.image(TENANT, "chat"),
        "images/generations",
        {"model": ALIAS, "prompt": "A plain grey square."},
    ),
    "an image of an agent": (
        requests.image(TENANT, "chat", model=AGENT),
        "images/generations",
        {"model": AGENT, "prompt": "A plain grey square."},
    ),
    "a conversation": (
        requests.conversation(TENANT, "chat", "r1"),
        "conversations",
        {"model": ALIAS, "title": f"gt-conformance-r1 café ({word_of('r1', 'chat')})"},
    ),
    "a conversation of an agent": (
        requests.conversation(TENANT, "chat", "r1", model=AGENT),
        "conversations",
        {"model": AGENT, "title": f"gt-conformance-r1 café ({word_of('r1', 'chat')})"},
    ),
}


@pytest.mark.parametrize(("request_", "path", "body"), BODIES.values(), ids=BODIES)
def test_a_body_says_no_more_than_it_must(request_: Request, path: str, body: dict[str, Any]) -> None:
    """The model, what is asked for, and what the caller adds: in JSON, by the key, to the versioned route."""
    assert (request_.method, request_.url, request_.key) == ("POST", f"{BASE_URL}/v1/{path}", "chat")
    assert json.loads(request_.body) == body
    assert request_.creates is (path == "conversations")
    assert CONVERSATION_HEADER not in dict(request_.headers)


def test_a_chat_may_belong_to_a_conversation() -> None:
    """By the header of GT's own, and by nothing in its body."""
    asked = requests.chat(TENANT, "chat", conversation="c1")
    assert dict(asked.headers)[CONVERSATION_HEADER] == "c1"
    assert asked.body == requests.chat(TENANT, "chat").body


@pytest.mark.parametrize(("model", "wanted"), [(None, ALIAS), (AGENT, AGENT)])
def test_a_transcription_is_a_form(model: str | None, wanted: str) -> None:
    """The sound comes first, then the model; without its file it is a form all the same."""
    whole = requests.transcription(TENANT, "chat", model=model)
    sound, named = whole.parts
    assert whole.url == f"{BASE_URL}/v1/audio/transcriptions"
    assert (sound.name, sound.filename, sound.content_type) == ("file", "gt-conformance.wav", "audio/wav")
    assert sound.content == requests.short_wav("chat")
    assert (named.name, named.content, named.filename) == ("model", wanted.encode(), None)
    assert requests.transcription(TENANT, "chat", model=model, with_file=False).parts == (named,)


def test_the_sound_is_half_a_quiet_second() -> None:
    """Mono, 16 bit, 8 kHz: a tone of 440 Hz, which no ear minds and no gateway finds too large."""
    with wave.open(io.BytesIO(requests.short_wav())) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8_000)
        samples = struct.unpack("<4000h", sound.readframes(20_000))
    assert (min(samples), max(samples)) == (-4_000, 4_000)
    rises = [now for now in range(1, len(samples)) if samples[now - 1] <= 0 < samples[now]]
    assert len(rises) == 220
    assert [samples[now] for now in (0, 1, 2)] == [0, 1354, 2549]


def test_an_upload_is_a_tiny_file_that_names_the_run() -> None:
    """Whoever finds it knows whose it is, and that it may go."""
    asked = requests.upload(TENANT, "/v1/conversations/files", "chat", "r1")
    (file,) = asked.parts
    assert (asked.method, asked.url, asked.headers) == ("POST", f"{BASE_URL}/v1/conversations/files", ())
    assert asked.creates
    assert (file.name, file.content_type) == ("file", "text/plain")
    assert re.fullmatch(r"gt-conformance-r1-[0-9a-f]{4}\.txt", file.filename or "")
    others = requests.upload(TENANT, "/v1/conversations/files", "app", "r1").parts[0]
    assert others.filename != file.filename
    assert file.content.startswith(UPLOADED)


WHOSE = [("r1", "chat", "/x"), ("r2", "chat", "/x"), ("r1", "app", "/x"), ("r1", "chat", "/y")]


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.PDF])
def test_a_file_states_a_fact_that_no_other_file_states(kind: Kind) -> None:
    """The same run, key, path and kind make the same file; what it states is not in the question about it."""
    for run_id, key, path in WHOSE:
        stated = statement_of(run_id, key, path, kind)
        content = requests.upload(TENANT, path, key, run_id, kind=kind).parts[0].content
        assert content == requests.upload(TENANT, path, key, run_id, kind=kind).parts[0].content
        assert (stated.in_letters if kind is Kind.TEXT else str(stated)).encode() in content
        assert stated.subject in stated.question("the file")
        assert stated.name not in stated.question("the file")
    kinds = (Kind.TEXT, Kind.PDF)
    assert len({statement_of(*whose, of).name for whose in WHOSE for of in kinds}) == len(WHOSE) * len(kinds)


def test_the_places_in_a_pdf_are_those_of_its_objects() -> None:
    """A strict reader goes by the table at the end, and by the length of the text."""
    content = requests.upload(TENANT, "/x", "chat", "r1", kind=Kind.PDF).parts[0].content
    table = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n", content)[0])
    assert content[table:].startswith(b"xref\n0 7\n")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n \n", content)]
    assert [content[place:].split(b" ")[0] for place in places] == [b"1", b"2", b"3", b"4", b"5", b"6"]
    streams = re.findall(rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", content, re.DOTALL)
    assert [int(length) for length, _ in streams] == [len(text) for _, text in streams]
    assert max(len(text) for _, text in streams) > 100_000  # what gateways stop at is met


def test_a_png_has_its_checksums() -> None:
    """Every part of it is whole, and the pixels are as many as its head says."""
    content = requests.upload(TENANT, "/x", "chat", "r1", kind=Kind.PNG).parts[0].content
    parts, at = {}, 8
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        assert content[at + 8 + size : at + 12 + size] == struct.pack(">I", zlib.crc32(name + data))
        parts[name] = data
        at += 12 + size
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    assert len(zlib.decompress(parts[b"IDAT"])) == (width + 1) * height


def test_an_upload_may_name_a_conversation_and_a_purpose() -> None:
    """An empty one is sent as it is: to leave it out would be another request."""
    asked = requests.upload(TENANT, "/x", "chat", "r1", conversation_id="", purpose="")
    assert asked.headers == ((CONVERSATION_HEADER, ""),)
    assert [(part.name, part.content[: len(UPLOADED)]) for part in asked.parts] == [
        ("file", UPLOADED),
        ("purpose", b""),
    ]


VALID: dict[Route, tuple[str, str]] = {
    Route.MODELS: ("GET", "/v1/models"),
    Route.CHAT: ("POST", "/v1/chat/completions"),
    Route.EMBEDDINGS: ("POST", "/v1/embeddings"),
    Route.TRANSCRIPTIONS: ("POST", "/v1/audio/transcriptions"),
    Route.SPEECH: ("POST", "/v1/audio/speech"),
    Route.IMAGES: ("POST", "/v1/images/generations"),
    Route.CONVERSATION_FILES: ("POST", "/v1/conversations/files"),
    Route.DATASET_FILES: ("POST", "/v1/datasets/handbook%2F1/files"),
    Route.FILE_STATUS: ("GET", "/v1/files/a%2Fb"),
}


@pytest.mark.parametrize("route", Route)
def test_each_route_has_a_valid_request(route: Route) -> None:
    """To its address, by the key; ids are quoted whole, so that none leads elsewhere."""
    tenant = replace(TENANT, dataset="handbook/1")
    asked = requests.valid(tenant, route, "chat", "r1", file_id="a/b", conversation_id="c1")
    assert (asked.method, asked.url.removeprefix(BASE_URL), asked.key) == (*VALID[route], "chat")
    assert asked.creates is (route in {Route.CONVERSATION_FILES, Route.DATASET_FILES})
    headers = {CONVERSATION_HEADER: "c1"} if route is Route.CONVERSATION_FILES else {}
    assert {name: text for name, text in asked.headers if name == CONVERSATION_HEADER} == headers


@pytest.mark.parametrize("route", [route for route in Route if route.modality])
def test_a_valid_request_may_name_another_model(route: Route) -> None:
    """Where the route has one: the published name for what it does, else the one that is asked for."""
    for model, wanted in ((None, ALIAS), (AGENT, AGENT)):
        asked = requests.valid(TENANT, route, "chat", "r1", model=model)
        named = [part.content.decode() for part in asked.parts if part.name == "model"]
        assert (named or [json.loads(asked.body)["model"]]) == [wanted]


def test_what_a_tenant_has_not_is_asked_for_by_a_made_up_id() -> None:
    """No dataset, no conversation, no file: the request is as valid, and nothing answers to it."""
    made_up = "gt-conformance-no-such-id"
    upload = requests.valid(TENANT, Route.CONVERSATION_FILES, "chat", "r1")
    assert dict(upload.headers)[CONVERSATION_HEADER] == made_up
    assert requests.valid(TENANT, Route.DATASET_FILES, "chat", "r1").url.endswith(f"/v1/datasets/{made_up}/files")
    assert requests.valid(TENANT, Route.FILE_STATUS, "chat", "r1").url.endswith(f"/v1/files/{made_up}")


def test_one_text_is_enough_to_embed() -> None:
    """A valid request costs no more than it must."""
    [text] = json.loads(requests.valid(TENANT, Route.EMBEDDINGS, "chat", "r1").body)["input"]
    assert text == f"{SOME_TEXT} ({word_of('r1', 'chat')})"


def test_what_is_embedded_spoken_and_drawn_is_of_one_run_and_one_key() -> None:
    """No cache that was filled before knows the request, and no key's is another's."""
    for route in (Route.CHAT, Route.EMBEDDINGS, Route.SPEECH, Route.IMAGES):
        asked = [("r1", "chat"), ("r1", "other"), ("r2", "chat")]
        assert len({requests.valid(TENANT, route, key, run).body for run, key in asked}) == len(asked)


def test_names_are_taken_by_modality() -> None:
    """Each route asks for the name that is published for what it does."""
    tenant = replace(TENANT, models={modality: f"agent-for-{modality.value}" for modality in Modality})
    for route in (route for route in Route if route.modality):
        asked = requests.valid(tenant, route, "chat", "r1")
        named = [part.content.decode() for part in asked.parts if part.name == "model"]
        assert (named or [json.loads(asked.body)["model"]]) == [f"agent-for-{route.modality}"]


def test_a_key_may_be_shown_in_another_way() -> None:
    """The same request but for who asks, and how."""
    asked = requests.chat(TENANT, "chat")
    shown = requests.present(asked, Presentation.QUERY, "other")
    assert (shown.key, shown.presentation) == ("other", Presentation.QUERY)
    assert replace(shown, key="chat", presentation=Presentation.BEARER) == asked


def test_a_get_takes_further_headers() -> None:
    """And without them has none."""
    asked = requests.get(TENANT, "/v1/models", None, headers={"Origin": "https://a.example"})
    assert (asked.method, asked.url, asked.key) == ("GET", f"{BASE_URL}/v1/models", None)
    assert asked.headers == (("Origin", "https://a.example"),)
    assert requests.get(TENANT, "/v1/models", None).headers == ()


FLOAT32 = struct.pack("<2f", 0.5, -2.0)


@pytest.mark.parametrize("vector", [[0.5, -2], base64.b64encode(FLOAT32).decode()], ids=["numbers", "base64"])
def test_an_embedding_is_numbers_either_way(vector: object) -> None:
    """A list as it is, or little-endian float32."""
    found = requests.floats(vector)
    assert found == [0.5, -2.0]
    assert all(isinstance(number, float) for number in found)


@pytest.mark.parametrize(
    "data", [b"", FLOAT32[:3], FLOAT32[:5], FLOAT32[:6]], ids=["0 bytes", "3 bytes", "5 bytes", "6 bytes"]
)
def test_bytes_that_are_no_whole_numbers_are_told(data: bytes) -> None:
    """With how many there are."""
    with pytest.raises(ValueError, match=f"^its length of {len(data)} is not a whole number of float32 values"):
        requests.floats(base64.b64encode(data).decode())


def test_what_is_no_base64_is_told() -> None:
    """Rather than read around the characters that do not belong."""
    with pytest.raises(ValueError, match="base64"):
        requests.floats("AAAA!AAAA")

"""The openai SDK in Python: every native route, as its README shows it."""

import io
import wave

from openai import OpenAI
from said import BASE_URL, KEY, MODEL, call, model

client = OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
HELLO = [{"role": "user", "content": "Say hello in one word."}]
TEXTS = ["one", "two"]


def streamed() -> str:
    """The text of a streamed chat, put together."""
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=16, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def second_of_silence() -> bytes:
    """A WAV file of one second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(16_000))
    return file.getvalue()


call("models.list", "models", {}, lambda: [item.id for item in client.models.list()])
call(
    "chat.completions.create",
    "chat",
    {"messages": 1, "max_tokens": 16},
    lambda: client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=16).choices[0].message.content,
)
call("chat.completions.create(stream=True)", "chat", {"messages": 1, "max_tokens": 16, "stream": True}, streamed)
call(
    "embeddings.create",
    "embeddings",
    {"input": TEXTS},
    lambda: [len(item.embedding) for item in client.embeddings.create(model=model("embeddings"), input=TEXTS).data],
)
call(
    "audio.transcriptions.create",
    "transcriptions",
    {"file": "silence.wav"},
    lambda: (
        client.audio.transcriptions.create(
            model=model("transcription"), file=("silence.wav", second_of_silence(), "audio/wav")
        ).text
    ),
)
call(
    "audio.speech.create",
    "speech",
    {"input": "hello", "voice": "alloy"},
    lambda: len(client.audio.speech.create(model=model("speech"), input="hello", voice="alloy").content),
)
call(
    "images.generate",
    "images",
    {"prompt": "a dot"},
    lambda: len(client.images.generate(model=model("image"), prompt="a dot").data or []),
)

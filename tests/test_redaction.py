"""Secrets out of every text: whole, encoded and in part, and nothing but secrets."""

import base64
import hashlib
import html
import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gt_conformance.exchange import Redactor
from prove import encodings
from tests import leaks
from tests.commands import finished

CHAT = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
ODD = "p&ss\"w<o/r+d=%~'k\\e?y#12"
REDACTOR = Redactor({"chat": CHAT, "odd": ODD})

FORMS: dict[str, Callable[[str], str]] = {
    "whole": str,
    "url-encoded": lambda text: quote(text, safe=""),
    "form-encoded": quote_plus,
    "HTML-escaped": html.escape,
    "JSON-escaped": lambda text: json.dumps(text)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 as Basic authentication": lambda text: base64.b64encode(f"{text}:".encode()).decode(),
    "base64 after one byte": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
    "base64 after two bytes": lambda text: base64.b64encode(b"xy" + text.encode() + b"z").decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "percent-encoded throughout": lambda text: "".join(f"%{ord(letter):02x}" for letter in text),
    "escaped as JSON throughout": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "escaped as JSON twice": lambda text: "".join(f"\\\\u{ord(letter):04X}" for letter in text),
    "escaped as Python throughout": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
    "as HTML's decimals": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "as HTML's hexadecimals": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "one letter escaped": lambda text: f"{text[:12]}%{ord(text[12]):02X}{text[13:]}",
    "percent-encoded and then escaped": lambda text: "".join(f"&#37;{ord(letter):02x}" for letter in text),
    "a part of it in base64": lambda text: base64.b64encode(text[4:25].encode()).decode(),
    "a part of it in hexadecimal": lambda text: text[4:25].encode().hex(),
    "without its prefix": lambda text: text.removeprefix("gtak_"),
    "its random part in base64": lambda text: base64.b64encode(text.removeprefix("gtak_").encode()).decode(),
    "its random part in hexadecimal": lambda text: text.removeprefix("gtak_").encode().hex(),
    "its first twelve characters": lambda text: text[:12],
    "its last twelve characters": lambda text: text[-12:],
    "in capitals": str.upper,
    "its random part in small letters": lambda text: text.removeprefix("gtak_").lower(),
    "backwards": lambda text: text[::-1],
    "as a list of bytes": lambda text: json.dumps(list(text.encode())),
    "as a list of bytes, line by line": lambda text: json.dumps(list(text.encode()), indent=4),
    "as JavaScript's array of bytes": lambda text: json.dumps({str(at): byte for at, byte in enumerate(text.encode())}),
    "as a list of hexadecimal bytes": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "hexadecimal with spaces": lambda text: text.encode().hex(" "),
    "hexadecimal with colons": lambda text: text.encode().hex(":").upper(),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 in short lines": lambda text: textwrap.fill(base64.b64encode(f"{text}:{text}".encode()).decode(), 20),
    "base64 in lines, escaped as JSON": lambda text: json.dumps(
        base64.encodebytes(f"{'-' * 40}{text}{'-' * 40}".encode()).decode()
    ),
    "UTF-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "UTF-16, escaped as JSON": lambda text: json.dumps(text.encode("utf-16-be").decode("latin-1")),
    "UTF-16 in base64": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "octal": lambda text: "".join(f"\\{ord(letter):03o}" for letter in text),
    "octal with a zero before it": lambda text: "".join(f"\\0{ord(letter):o}" for letter in text),
    "as JavaScript's code points": lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    "quoted-printable throughout": lambda text: "".join(f"={ord(letter):02X}" for letter in text),
    "quoted-printable in two lines": lambda text: f"{text[:9]}=\r\n{text[9:]}",
    "HTML's decimals, escaped once more": lambda text: "".join(f"&amp;#{ord(letter)};" for letter in text),
    "percent-encoded at another depth each": lambda text: "".join(
        f"%{'25' * (at % 7)}{ord(letter):02X}" for at, letter in enumerate(text)
    ),
    "base64 backwards": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "base64 in small letters": lambda text: base64.b64encode(f"x{text}".encode()).decode().lower(),
    "base64 in capitals": lambda text: base64.b64encode(f"xy{text}z".encode()).decode().upper(),
    "as JavaScript's escape() does beyond Latin-1": lambda text: "".join(f"%u{ord(letter):04X}" for letter in text),
    "escaped as Markdown": lambda text: text.replace("_", "\\_").replace("-", "\\-"),
}


def core(form: str) -> str:
    """The form less the characters at its ends that it shares with its neighbours in base64."""
    return form.rstrip("=")[3:-2]


@pytest.mark.parametrize("secret", [CHAT, ODD], ids=["chat", "odd"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_no_form_of_a_secret_survives(form: Callable[[str], str], secret: str) -> None:
    """A secret is taken out in each form that a tenant could send back, and known by it."""
    shown = form(secret)
    text = f"before {shown} after"
    cleaned = REDACTOR.text(text)
    assert core(shown) not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert REDACTOR.holds(text) == ("chat" if secret == CHAT else "odd")


LETTERS: dict[str, Callable[[str], str]] = {
    "Python's list": lambda text: repr(list(text)),
    "JSON": lambda text: json.dumps(list(text)),
    "JSON, line by line": lambda text: json.dumps(list(text), indent=2),
    "JavaScript's object": lambda text: json.dumps({str(at): letter for at, letter in enumerate(text)}),
    "Java's char[]": lambda text: f"[{', '.join(text)}]",
    "spaced": " ".join,
    "one a line": "\r\n".join,
    "JSON in JSON": lambda text: json.dumps(json.dumps(list(text))),
    "backwards": lambda text: json.dumps(list(text[::-1])),
}


@pytest.mark.parametrize("form", LETTERS.values(), ids=LETTERS)
def test_a_secret_letter_by_letter_does_not_survive(form: Callable[[str], str]) -> None:
    """A key of which somebody made a list, an object or a line of letters is taken out; a part of it too."""
    assert core(form(CHAT)) not in (cleaned := REDACTOR.text(f"before {form(CHAT)} after"))
    assert "[secret chat]" in cleaned
    assert "[part of secret chat]" in REDACTOR.text(f"before {form(CHAT[8:20])} after")
    assert REDACTOR.holds(f"before {form(CHAT[8:19])} after") is None


def test_a_list_of_letters_among_values_does_not_survive() -> None:
    """In a value of JSON as in a text."""
    assert REDACTOR.value({"key": list(CHAT)}) == {"key": ["'[secret chat]'"]}


def test_the_place_of_a_secret_says_whose_it_was() -> None:
    """A reader sees which key stood there, whole or in part."""
    assert REDACTOR.text(f"Bearer {CHAT}.") == "Bearer [secret chat]."
    assert REDACTOR.text(f"key …{CHAT[-18:]}!") == "key …[part of secret chat]!"
    assert REDACTOR.text(f"{CHAT}{ODD}") == "[secret chat][secret odd]"


def test_a_key_of_another_tenant_is_masked_too() -> None:
    """Whatever looks like a GT key is taken out, known or not."""
    assert REDACTOR.text("use gtak_abc123, or gtak_…") == "use gtak_[secret], or gtak_…"
    assert Redactor({}).text("use gtak_abc123") == "use gtak_[secret]"


PLAIN = {
    "eleven characters of a secret": f"<{CHAT[9:20]}>",
    "eleven characters of a secret in base64": f"<{base64.b64encode(CHAT[9:20].encode()).decode()}>",
    "eleven characters of a secret in base64, backwards": base64.b64encode(CHAT[9:20].encode()).decode()[::-1],
    "a fingerprint": hashlib.sha256(CHAT.encode()).hexdigest(),
    "the prefix": "keys look like gtak_...",
    "an alias": "field-analyst",
    "nothing": "",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_other_text_stays_as_it_is(text: str) -> None:
    """What holds no secret is not touched."""
    assert REDACTOR.text(text) == text
    assert REDACTOR.holds(text) is None


def test_a_longer_secret_is_not_hidden_by_its_beginning() -> None:
    """Of two secrets that begin alike, the text is known by the longer one that stands in it."""
    redactor = Redactor({"short": "gtak_abcdefgh", "long": "gtak_abcdefghijklmnop"})
    assert redactor.text("gtak_abcdefghijklmnop gtak_abcdefgh") == "[secret long] [secret short]"


def test_json_values_are_cleaned_throughout() -> None:
    """Texts and keys of a nested value are cleaned; numbers, booleans and nothing stay."""
    value = {"a": [CHAT, 1, True, None, 0.5], CHAT: {"b": (f"x{CHAT}",)}}
    assert REDACTOR.value(value) == {
        "a": ["[secret chat]", 1, True, None, 0.5],
        "[secret chat]": {"b": ["x[secret chat]"]},
    }


def test_what_is_known_to_be_clean_hides_no_secret_beside_it() -> None:
    """Texts that were searched once are left out of the next search; what stands beside them is not."""
    redactor = Redactor({"chat": "gtak_vault7Qx2mN5rT8wZ"})
    clean = ["an answer without a secret " * 20, "and another " * 40]
    assert not redactor.any_holds(clean)
    assert redactor.any_holds([*clean, f"{clean[0]}gtak_vault7Qx2mN5rT8wZ"])
    assert redactor.values([clean[0], "vault7Qx2mN5rT8wZ"]) == [clean[0], "[secret chat]"]
    assert not redactor.any_holds(clean)


def test_two_parts_in_one_text_are_both_taken_out() -> None:
    """Each part of a secret is found, one after the other or side by side."""
    piece = CHAT[8:26]
    assert REDACTOR.text(f"{piece} {piece}") == "[part of secret chat] [part of secret chat]"
    assert CHAT[10:26] not in REDACTOR.text(piece + piece + piece)


def test_parts_that_overlap_are_taken_out_one_after_the_other() -> None:
    """A long part is one part, and one that begins inside another leaves no broken mark behind."""
    assert REDACTOR.text(CHAT[:-1]) == "[part of secret chat]"
    one, two, three = "aB3dE5gH", "jK7mN9pQ", "sT1vW3yZ"
    redactor = Redactor({"one": one + two + one + three})
    assert redactor.text(one + two + one + two) == f"[part of secret one]{two}"
    assert redactor.text(one + two + one + two + one + three[:-1]) == "[part of secret one][part of secret one]"


def test_keys_that_begin_alike_are_told_apart_by_any_part() -> None:
    """A part is found though another key shares half of it; what all keys share is part of none."""
    redactor = Redactor({"one": "gtak_live_abcd1111222233334444", "two": "gtak_live_abcd5555666677778888"})
    assert redactor.text("=live_abcd1") == "=live_abcd1"
    assert redactor.text("=_live_abcd11") == "=[part of secret one]"
    assert redactor.text("=_live_abcd55") == "=[part of secret two]"
    assert redactor.holds("Keys begin with gtak_live_abcd.") is None


def test_a_name_that_holds_its_secret_is_left_out() -> None:
    """What stands in the place of a secret does not bring it back."""
    redactor = Redactor({"key-4f9abq7x7lm2": "gtak_4f9AbQ7x7Lm2"})
    assert redactor.text("(gtak_4f9AbQ7x7Lm2)") == "([secret])"


def test_a_short_secret_is_taken_out_whole() -> None:
    """A secret that is too short for parts is found as it is spelled, and under encodings."""
    redactor = Redactor({"short": "Pass-w0rd"})
    assert redactor.text("Pass-w0r") == "Pass-w0r"
    assert redactor.text("a Pass-w0rd!") == "a [secret short]!"
    assert redactor.text(base64.b64encode(b"x:Pass-w0rd").decode()) != base64.b64encode(b"x:Pass-w0rd").decode()


WINDOW = 12
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=WINDOW, max_size=40) | st.text(
    "ab", min_size=WINDOW, max_size=40
)
AROUND = st.text(st.sampled_from('ab gtk_=./%"é'), max_size=12)


def windows(secret: str) -> list[str]:
    """Every piece of twelve characters."""
    return [secret[start : start + WINDOW] for start in range(len(secret) - WINDOW + 1)]


@given(SECRETS, SECRETS, AROUND, AROUND, st.data())
@example("gtak_live_abcd1111222233334444", "gtak_live_abcd5555666677778888", "=", "", None)
def test_no_part_of_twelve_characters_survives(
    secret: str, other: str, before: str, after: str, data: st.DataObject | None
) -> None:
    """Wherever a part of a secret stands in a text, no twelve characters of it are left."""
    start = data.draw(st.integers(0, len(secret) - WINDOW)) if data else 4
    end = data.draw(st.integers(start + WINDOW, len(secret))) if data else 20
    redactor = Redactor({"one": secret, "two": other})
    text = before + secret[start:end] + after
    cleaned = redactor.text(text)
    assert not [piece for piece in windows(secret) if piece in cleaned]
    assert redactor.holds(text) is not None


ENCODED: dict[str, Callable[[str], str]] = {
    "url": FORMS["url-encoded"],
    "base64": FORMS["base64"],
    "base64 for URLs": FORMS["base64 for URLs"],
    "base64 after one byte": FORMS["base64 after one byte"],
    "base64 after two bytes": FORMS["base64 after two bytes"],
}


@pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED)
@settings(deadline=None)  # how busy the machine is proves nothing
@given(secret=SECRETS.map(lambda text: text[:40]), before=AROUND, after=AROUND)
def test_no_encoded_secret_survives(encode: Callable[[str], str], secret: str, before: str, after: str) -> None:
    """A secret that was url-encoded or put into base64 is taken out of any text."""
    shown = encode(secret)
    redactor = Redactor({"one": secret})
    assert core(shown) not in redactor.text(f"{before} {shown} {after}")
    assert redactor.holds(f"{before} {shown} {after}") == "one"


@given(SECRETS, st.text(max_size=200))
def test_a_text_without_secrets_is_not_touched(secret: str, text: str) -> None:
    """What holds no part of a secret, and nothing like a key, comes back as it was."""
    assume("gtak_" not in text)
    assume(not any(piece in text for piece in windows(secret)))
    redactor = Redactor({"one": secret})
    assume(not any(len(form) < WINDOW and form in text for form in (secret.removeprefix("gtak_"),)))
    assert redactor.text(text) == text


def test_a_secret_is_found_wherever_it_stands() -> None:
    """Each form is found at every offset, since texts are looked at in steps of a few characters."""
    for form in FORMS.values():
        for offset in range(9):
            text = "." * offset + form(CHAT) + "....."
            assert REDACTOR.holds(text) == "chat"
            assert core(form(CHAT)) not in REDACTOR.text(text)


LAYERS: dict[str, Callable[[str], str]] = {
    name: FORMS[name]
    for name in (
        "url-encoded",
        "HTML-escaped",
        "JSON-escaped",
        "base64",
        "base64 after one byte",
        "base64 for URLs",
        "base64 in short lines",
        "hexadecimal",
        "hexadecimal with spaces",
        "hexadecimal with colons",
        "percent-encoded throughout",
        "escaped as JSON throughout",
        "as HTML's decimals",
        "as a list of bytes",
        "UTF-16, escaped as JSON",
        "UTF-16 in base64",
        "octal",
        "quoted-printable throughout",
    )
}
STACKS = st.lists(st.sampled_from(list(LAYERS)), max_size=3)
KEYS = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789_-", min_size=24, max_size=48)


def stacked(text: str, names: list[str]) -> str:
    """The text in these encodings, one around the other."""
    for name in names:
        text = LAYERS[name](text)
    return text


@pytest.mark.unmeasured
@given(key=KEYS.map("gtak_{}".format), names=STACKS, before=AROUND, after=AROUND)
def test_no_stack_of_encodings_hides_a_secret(key: str, names: list[str], before: str, after: str) -> None:
    """However encodings are stacked around a secret, it is found and taken out, and nothing of it can be read back."""
    redactor = Redactor({"one": key})
    text = f"{before} {stacked(key, names)} {after}"
    assert redactor.holds(text) == "one"
    cleaned = redactor.text(text)
    assert redactor.holds(cleaned) is None
    assert leaks.found([("", cleaned)], [key]) == []


@given(text=st.text(max_size=60), names=STACKS)
def test_encodings_of_other_text_stay_as_they_are(text: str, names: list[str]) -> None:
    """Text without a secret comes back byte for byte, however it is encoded."""
    shown = stacked(text.encode("ascii", "ignore").decode(), names)
    assume("gtak_" not in shown)
    assert REDACTOR.holds(shown) is None
    assert REDACTOR.text(shown) == shown


# -- hostile texts


def work(text: str) -> int:
    """How many calls, of our functions and Python's, it takes to search a text."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        encodings.search(text)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", encodings.TEXTS)
def test_the_work_grows_no_faster_than_the_text(name: str) -> None:
    """Twice and four times the text takes at most twice and four times the calls, whatever it is made of."""
    once, twice, four_times = (work(encodings.TEXTS[name](factor * 4_000)) for factor in (1, 2, 4))
    spare = 400  # what does not depend on the length
    assert twice <= 2 * once + spare
    assert four_times <= 4 * once + spare


def test_anything_of_some_length_is_searched_in_linear_time() -> None:
    """What happens inside one call shows in the processor time: a tenth of a megabyte of each text gets three seconds.

    Every text takes a tenth of a second. A search that looks at each pair of its characters takes some thirty times
    the limit, so that the test depends on no clock; ``make prove`` does the same with up to eight megabytes.
    """
    code = "from prove import encodings; encodings.search_all(encodings.TEXTS, (0.1,), 3)"
    done = finished([sys.executable, "-c", code], cwd=Path(__file__).parent.parent)
    assert done.code == 0, f"{done.stdout.splitlines()[-1:]}: {done.stderr[-500:]}"

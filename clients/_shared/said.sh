# What a driver made of curl says: one JSON line for each call. To be sourced.

set -u
model() { local name="GT_MODEL_$1"; printf '%s' "${!name:-$GT_MODEL}"; }

# Text as the inside of a JSON string: what is not printable ASCII is left out, and it ends after 2,000 characters.
as_json() { LC_ALL=C tr -cd '\40-\176' <"$1" | head -c 2000 | sed 's/\\/\\\\/g; s/"/\\"/g'; }

# call NAME ROUTE ASKED CURL-ARGUMENTS...: one request, with the key; ASKED is JSON. Bytes are counted, text is shown.
call() {
  local name=$1 route=$2 asked=$3 body=$TMPDIR/body errors=$TMPDIR/errors returned raised=null kind
  shift 3
  : >"$body"
  kind=$(curl -sS --fail-with-body -o "$body" -w '%{content_type}' -H "Authorization: Bearer $GT_API_KEY" "$@" 2>"$errors")
  local code=$?
  case $kind in
    audio/* | image/*) returned=$(wc -c <"$body" | tr -d ' ') ;;
    *) returned="\"$(as_json "$body")\"" ;;
  esac
  if [ $code -ne 0 ]; then
    raised="{\"type\": \"curl $code\", \"message\": \"$(as_json "$errors") $(as_json "$body")\"}"
    returned=null
  fi
  printf '{"call": "%s", "route": "%s", "asked": %s, "returned": %s, "raised": %s}\n' "$name" "$route" "$asked" "$returned" "$raised"
}

# A WAV file of one second of silence, as the argument names it.
silence() {
  printf 'RIFF\244\076\000\000WAVEfmt \020\000\000\000\001\000\001\000\100\037\000\000\200\076\000\000\002\000\020\000data\200\076\000\000' >"$1"
  head -c 16000 /dev/zero >>"$1"
}

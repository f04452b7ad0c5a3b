# A client that joins each route to its base URL, as every measured one does: here it is curl.
. "$GT_SHARED/said.sh"

url=$GT_BASE_URL
json="Content-Type: application/json"
hello="{\"model\": \"$GT_MODEL\", \"messages\": [{\"role\": \"user\", \"content\": \"Say hello in one word.\"}], \"max_tokens\": 16"

call "GET /models" models "{}" "$url/models"
call "POST /chat/completions" chat "{\"messages\": 1, \"max_tokens\": 16}" "$url/chat/completions" -H "$json" -d "$hello}"
call "POST /chat/completions, streamed" chat "{\"messages\": 1, \"max_tokens\": 16, \"stream\": true}" \
  "$url/chat/completions" -N -H "$json" -d "$hello, \"stream\": true}"
call "POST /embeddings" embeddings "{\"input\": [\"one\", \"two\"]}" \
  "$url/embeddings" -H "$json" -d "{\"model\": \"$(model EMBEDDINGS)\", \"input\": [\"one\", \"two\"]}"
silence "$TMPDIR/silence.wav"
call "POST /audio/transcriptions" transcriptions "{\"file\": \"silence.wav\"}" \
  "$url/audio/transcriptions" -F "file=@$TMPDIR/silence.wav;type=audio/wav" -F "model=$(model TRANSCRIPTION)"
call "POST /audio/speech" speech "{\"input\": \"hello\"}" \
  "$url/audio/speech" -H "$json" -d "{\"model\": \"$(model SPEECH)\", \"input\": \"hello\", \"voice\": \"alloy\"}"
call "POST /images/generations" images "{\"prompt\": \"a dot\"}" \
  "$url/images/generations" -H "$json" -d "{\"model\": \"$(model IMAGE)\", \"prompt\": \"a dot\"}"

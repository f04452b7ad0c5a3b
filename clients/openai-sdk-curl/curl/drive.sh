# curl as the runbook's page writes it: with /v1 written out behind the base URL.
. "$GT_SHARED/said.sh"

url=$GT_BASE_URL/v1
json="Content-Type: application/json"
hello="{\"model\": \"$GT_MODEL\", \"messages\": [{\"role\": \"user\", \"content\": \"Say hello in one word.\"}], \"max_tokens\": 16"

call "GET /v1/models" models "{}" "$url/models"
call "POST /v1/chat/completions" chat "{\"messages\": 1, \"max_tokens\": 16}" "$url/chat/completions" -H "$json" -d "$hello}"
call "POST /v1/chat/completions, streamed" chat "{\"messages\": 1, \"max_tokens\": 16, \"stream\": true}" \
  "$url/chat/completions" -N -H "$json" -d "$hello, \"stream\": true}"
call "POST /v1/embeddings" embeddings "{\"input\": [\"one\", \"two\"]}" \
  "$url/embeddings" -H "$json" -d "{\"model\": \"$(model EMBEDDINGS)\", \"input\": [\"one\", \"two\"]}"
silence "$TMPDIR/silence.wav"
call "POST /v1/audio/transcriptions" transcriptions "{\"file\": \"silence.wav\"}" \
  "$url/audio/transcriptions" -F "file=@$TMPDIR/silence.wav;type=audio/wav" -F "model=$(model TRANSCRIPTION)"
call "POST /v1/audio/speech" speech "{\"input\": \"hello\"}" \
  "$url/audio/speech" -H "$json" -d "{\"model\": \"$(model SPEECH)\", \"input\": \"hello\", \"voice\": \"alloy\"}"
call "POST /v1/images/generations" images "{\"prompt\": \"a dot\"}" \
  "$url/images/generations" -H "$json" -d "{\"model\": \"$(model IMAGE)\", \"prompt\": \"a dot\"}"

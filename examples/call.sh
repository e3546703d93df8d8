#!/bin/sh
# Calls the API with curl. The words go to the token command: `--as ada`, for example. The token comes in on stdin,
# because arguments can be read by everybody on the machine. 429 and 503 are waited out, Retry-After included.
set -eu
token=$(npm run -s token -- "$@")
printf 'header = "Authorization: Bearer %s"\n' "$token" |
  curl --silent --show-error --fail-with-body --retry 4 --retry-max-time 120 --config - \
    "${API_URL:-http://127.0.0.1:3000}/secure-data"

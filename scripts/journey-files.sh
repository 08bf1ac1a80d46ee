#!/usr/bin/env bash
# Lists the files of which a statement is executed by one cold bill and by one plan change, between the customer's call
# of the gateway and the answer (all units in one process, the simulator of KOS left out). What an idle system executes
# in 5 s is subtracted, statement by statement. Needs PostgreSQL and a cache (scripts/deps.sh).
# With -w the lists are written into docs/architecture.md, else they are printed.
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/architecture.md begin='<!-- journey-files -->' end='<!-- /journey-files -->'
out=$(mktemp -d)
not_adapters='adapters/(kos/kossim|mvnoap/mvnoapsim|internal/journal|devservers)'
not_the_system="^($not_adapters|cmd/internal/(devstack|journeyfiles))/"
trap 'rm -rf "$out"' EXIT
go build -cover -covermode=atomic -coverpkg=./... -o "$out/journeyfiles" ./cmd/internal/journeyfiles
"$out/journeyfiles" "$out/data" "$out" 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
for journey in idle cold-bill change; do
  go tool covdata textfmt -i="$out/$journey" -o="$out/$journey.txt"
  awk 'NR > 1 && $NF > 0 { print $1 }' "$out/$journey.txt" | sort -u > "$out/$journey.blocks"
done
for journey in cold-bill change; do
  comm -13 "$out/idle.blocks" "$out/$journey.blocks" | sed 's/:.*//; s#^phonebill/##' | sort -u |
    grep -vE "$not_the_system" > "$out/files"
  generated=$(grep -cE '\.gen\.go$|/internal/[a-z]+db/' "$out/files" || true)
  title="A cold bill"
  [ "$journey" = change ] && title="A plan change"
  printf '**%s** executes %d files, %d of them generated.\n\n| folder | files |\n|---|---|\n' \
    "$title" "$(wc -l < "$out/files")" "$generated"
  sed 's#/\([^/]*\)$# \1#' "$out/files" | sort | awk '
    $1 != folder { if (folder) print row " |"; folder = $1; row = "| `" folder "` |" } { row = row " " $2 }
    END { print row " |"; print "" }'
done > "$out/lists"
if [ "${1:-}" != -w ]; then
  cat "$out/lists"
  exit
fi
awk -v begin="$begin" -v end="$end" -v lists="$out/lists" '
  $0 == begin { print; print ""; while ((getline line < lists) > 0) print line; skip = 1 }
  $0 == end { skip = 0 }
  !skip' "$page" > "$out/page"
cp "$out/page" "$page"

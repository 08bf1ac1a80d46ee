#!/usr/bin/env bash
# Fails when openapi/bundle.yaml breaks a client of the last release (openapi/released/bundle.yaml) and the changelog
# does not declare it. A declaration stands under Unreleased and names the operation:
# "- **Breaking:** `GET /bills/menu` is gone."
# It first shows on copies that it would notice (an operation gone, a field gone) and accept a declaration.
# Warnings of oasdiff count too: what it only warns of, such as a body field that is gone, is a 400 here. A new error
# code does not count (docs/guides/en/versioning.md).
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -modfile=tools/oasdiff/go.mod -o "$tmp/oasdiff" github.com/oasdiff/oasdiff

# declared CHANGELOG prints what it declares under Unreleased, an entry a line.
declared() {
  awk '/^## /{on = $0 == "## [Unreleased]"; next}
    on && /^- /{if (entry) print entry; entry = $0; next}
    on && /^  /{sub(/^ +/, " "); entry = entry $0; next}
    on && entry{print entry; entry = ""}
    END{if (entry) print entry}' "$1" | grep -iE '^- (\*\*)?breaking:' || true
}

# undeclared BASE REVISION CHANGELOG prints the breaking changes that the changelog does not declare.
undeclared() {
  local declarations change what
  declarations=$(declared "$3")
  "$tmp/oasdiff" breaking --format singleline --color never "$1" "$2" >"$tmp/changes"
  { grep -E '^(error|warning) ' "$tmp/changes" || true; } |
    { grep -vE '`([^`]*/)?error/code` response property' || true; } | while read -r change; do
    what=$(sed -nE 's/.*, in API ([A-Z]+ [^ ]+) .*/\1/p' <<<"$change")
    [ -n "$what" ] || what=$(sed -E 's/.*\[([a-z-]+)\].*/\1/' <<<"$change")
    grep -qF -- "$what" <<<"$declarations" || echo "$change"
  done
}

prove() { # prove WANTED REVISION CHANGELOG: the number of undeclared changes of a copy
  local found
  found=$(undeclared openapi/bundle.yaml "$2" "$3" | grep -c . || true)
  [ "$found" = "$1" ] || { echo "breaking: $found changes of $2 were noticed, not $1" >&2; exit 1; }
}
sed 's#^  /bills/menu:#  /bills/menus:#' openapi/bundle.yaml >"$tmp/gone.yaml"
sed '/^    BillInquiryRequest:/,/^    [A-Z]/s/inquiryMonth:/month:/' openapi/bundle.yaml >"$tmp/field.yaml"
printf '## [Unreleased]\n\n- **Breaking:** the menu has moved:\n  `GET /bills/menu` is gone.\n' >"$tmp/declared"
printf '## [Unreleased]\n\n## [0.1.0]\n- **Breaking:** `GET /bills/menu` is gone.\n' >"$tmp/earlier"
prove 0 openapi/bundle.yaml "$tmp/earlier"
prove 1 "$tmp/gone.yaml" "$tmp/earlier"
prove 0 "$tmp/gone.yaml" "$tmp/declared"
prove 1 "$tmp/field.yaml" "$tmp/declared"

found=$(undeclared openapi/released/bundle.yaml openapi/bundle.yaml CHANGELOG.md)
if [ -n "$found" ]; then
  echo "$found" >&2
  echo "this breaks clients of the last release: undo it, or declare it under Unreleased in CHANGELOG.md as" >&2
  echo '- **Breaking:** `METHOD /path` …' >&2
  exit 1
fi

#!/usr/bin/env bash
# Writes THIRD_PARTY_LICENSES: the licence texts of every module that is linked into a program of cmd/, sorted by path.
# With --check it compares instead of writing. (google/go-licenses does not understand this Go's standard library.)
set -euo pipefail
cd "$(dirname "$0")/.."
list() {
  go list -tags waf -deps \
    -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/... | sort -u
}
write() {
  echo "The programs of phonebill contain these modules. Their licences follow."
  list | while read -r path version dir; do
    mapfile -t files < <(find "$dir" -maxdepth 1 -type f \
      \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) | sort)
    if [ "${#files[@]}" -eq 0 ]; then
      echo "licenses: $path $version has no licence file" >&2
      exit 1
    fi
    printf '\n%s\n%s %s\n' "$(printf '=%.0s' {1..80})" "$path" "$version"
    for f in "${files[@]}"; do
      printf -- '--- %s\n' "$(basename "$f")"
      tr -d '\r' < "$f"
    done
  done
}
case "${1:-}" in
  --check)
    diff -q <(write) THIRD_PARTY_LICENSES > /dev/null ||
      { echo "THIRD_PARTY_LICENSES is old: run make licenses" >&2; exit 1; } ;;
  *) write > THIRD_PARTY_LICENSES ;;
esac

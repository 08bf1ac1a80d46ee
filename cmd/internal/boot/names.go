package boot

import (
	"context"
	_ "embed"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// knownNames are the variables of all programs, one a line. The test of docs/configuration.md writes the file
// (cmd/internal/compose).
//
//go:embed variables.txt
var knownNames string

// KnownNames returns the names of the variables of all programs.
func KnownNames() []string { return strings.Fields(knownNames) }

// injected matches what Kubernetes puts into the environment for each service of the namespace, like
// GATEWAY_SERVICE_HOST, GATEWAY_PORT and GATEWAY_PORT_8080_TCP_ADDR.
var injected = regexp.MustCompile(`_SERVICE_(HOST|PORT(_.*)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// warnOfNearMisses logs the variables of an environment that no program reads and that look like one that is read: a
// mistyped name would go unnoticed otherwise.
func warnOfNearMisses(environ []string, log *slog.Logger) {
	known := KnownNames()
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if meant := nearMiss(name, known); meant != "" {
			log.WarnContext(context.Background(), "no program reads this variable", "variable", name, "didYouMean", meant)
		}
	}
}

// nearMiss returns the known name that an unknown one is a misspelling of, or the empty string: two edits at most if it
// begins with a word that ours begin with (KOS_, BILL_, …), else one.
func nearMiss(name string, known []string) string {
	const shortest, ours, foreign = 7, 2, 1
	if len(name) < shortest || slices.Contains(known, name) || injected.MatchString(name) {
		return ""
	}
	first, _, _ := strings.Cut(name, "_")
	limit := foreign
	if slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, first+"_") }) {
		limit = ours
	}
	nearest, least := "", limit+1
	for _, k := range known {
		if d := edits(name, k); d < least {
			nearest, least = k, d
		}
	}
	return nearest
}

// edits returns how many letters must be inserted, left out, replaced or swapped with their neighbour to make b of a.
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

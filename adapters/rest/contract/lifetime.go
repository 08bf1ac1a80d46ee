package contract

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// lifetime has the headers by which every answer of a deprecated operation gives notice (docs/guides/en/versioning.md):
// Deprecation (RFC 9745) and, once the last day is known, Sunset (RFC 8594). Both are empty for another operation.
type lifetime struct{ deprecation, sunset string }

// newLifetime reads deprecated, x-deprecated-since and x-sunset, days as YYYY-MM-DD that begin at midnight UTC. It
// fails when a deprecated operation does not say since when, when another one has either day, and when it would end
// before.
func newLifetime(op *openapi3.Operation) (lifetime, error) {
	since, err1 := day(op, "x-deprecated-since")
	end, err2 := day(op, "x-sunset")
	switch {
	case err1 != nil:
		return lifetime{}, err1
	case err2 != nil:
		return lifetime{}, err2
	case op.Deprecated == since.IsZero(), !op.Deprecated && !end.IsZero():
		return lifetime{}, fmt.Errorf("deprecated, x-deprecated-since and x-sunset do not go together")
	case !op.Deprecated:
		return lifetime{}, nil
	case !end.IsZero() && !end.After(since):
		return lifetime{}, fmt.Errorf("x-sunset is not after x-deprecated-since")
	}
	out := lifetime{deprecation: "@" + strconv.FormatInt(since.Unix(), 10)}
	if !end.IsZero() {
		out.sunset = end.Format(http.TimeFormat)
	}
	return out, nil
}

func day(op *openapi3.Operation, extension string) (time.Time, error) {
	value, ok := op.Extensions[extension]
	if !ok {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, fmt.Sprint(value))
	if err != nil {
		return t, fmt.Errorf("%s is no day: %w", extension, err)
	}
	return t, nil
}

func (l lifetime) write(h http.Header) {
	if l.deprecation != "" {
		h.Set("Deprecation", l.deprecation)
	}
	if l.sunset != "" {
		h.Set("Sunset", l.sunset)
	}
}

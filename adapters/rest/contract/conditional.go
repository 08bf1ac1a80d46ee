package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// conditional lets a client ask whether the answer that it has is still the answer (x-conditional; RFC 9110, 13): a 200
// gets an ETag of its content, and is a 304 without content when If-None-Match names that. The answer may be kept by
// the client alone, and asked for each time; Vary keeps what one account has seen from the next one on the same device.
// The answer is made in any case: what is saved is its way to the client.
func conditional(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		held := &heldAnswer{ResponseWriter: w}
		next(held, r)
		if held.status != http.StatusOK {
			return // it is an error, and written
		}
		h := w.Header()
		sum := sha256.Sum256(held.body.Bytes())
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
		h.Set("ETag", tag)
		h.Set("Cache-Control", "private, no-cache")
		h.Add("Vary", "Authorization, Cookie")
		if namesTag(r.Header.Values("If-None-Match"), tag) {
			h.Del("Content-Type")
			h.Del("Content-Length")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(held.body.Bytes()) // the client may be gone
	}
}

// namesTag reports whether a list of If-None-Match has the tag, compared weakly: a proxy that compresses marks tags
// with W/.
func namesTag(lists []string, tag string) bool {
	for _, list := range lists {
		for t := range strings.SplitSeq(list, ",") {
			t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
			if t == tag || t == "*" {
				return true
			}
		}
	}
	return false
}

// heldAnswer keeps the content of a 200 back; other answers pass through.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	if status != http.StatusOK {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *heldAnswer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.status == http.StatusOK {
		return a.body.Write(p)
	}
	return a.ResponseWriter.Write(p) //nolint:wrapcheck // a ResponseWriter returns the error of the one below
}

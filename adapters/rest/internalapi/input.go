package internalapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	gen "phonebill/adapters/rest/internal/internalgen"
)

const (
	searchPath     = Base + "requests/search"
	deliveriesPath = Base + "deliveries"
)

// bodyLimit is the largest body of a request to the path, in bytes.
func bodyLimit(path string) int64 {
	switch path {
	case Base + "sessions/used":
		return 1 << 20
	case searchPath:
		return 4 << 10
	default:
		return 16 << 10
	}
}

// checkInput bounds the body and refuses filters that this release does not know: an unknown filter must not look
// like no filter. The generated code checks the rest.
func (h *Handlers) checkInput(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		var err error
		switch r.URL.Path {
		case deliveriesPath:
			err = knownParameters(r, "state", "since", "page", "size")
		case searchPath:
			err = knownFields(r, &gen.RequestFilter{})
		}
		if err != nil {
			h.refuse(w, r, malformed(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func knownParameters(r *http.Request, names ...string) error {
	for name := range r.URL.Query() {
		if !slices.Contains(names, name) {
			return fmt.Errorf("unknown query parameter %q", name)
		}
	}
	return nil
}

// knownFields fails when the body does not decode into v or has a field that v does not. The body can be read again.
func knownFields(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	return in.Decode(v)
}

// Package portal serves what the developer of a client reads: the specifications (/openapi.yaml, /openapi/bill.yaml,
// the same as .json), and below /docs the guides in Korean and English and a viewer of the API that can call it.
// Everything is embedded, and no page makes a browser ask another host. Begin with Handlers.
package portal

import (
	"net/http"
	"slices"
	"strings"

	"phonebill/core/fault"
)

// Config is the configuration of the portal.
type Config struct {
	// SandboxLogins are the ids of demo accounts that the viewer's login form suggests, as ID or ID:LINE. Passwords are
	// never among them.
	SandboxLogins []string
	Fail          func(w http.ResponseWriter, r *http.Request, err error) // writes an error in the API's envelope
}

// Handlers returns the handlers by the first segment of their paths.
func Handlers(c Config) map[string]http.Handler {
	all := map[string]http.Handler{"docs": c.only("GET /docs/", c.docs)}
	for _, first := range []string{"openapi", "openapi.yaml", "openapi.json"} {
		all[first] = c.only("GET /openapi/", c.specification)
	}
	return all
}

// only restricts to GET and HEAD. pattern is the route in logs and metrics, one for many paths.
func (c Config) only(pattern string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = pattern
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			c.Fail(w, r, fault.New(fault.BadMethod))
			return
		}
		serve(w, r)
	})
}

func (c Config) notFound(w http.ResponseWriter, r *http.Request) {
	c.Fail(w, r, fault.New(fault.ResourceNotFound))
}

// docs serves /docs, /docs/assets/NAME and /docs/LANGUAGE/PAGE.
func (c Config) docs(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/docs")
	if !ok { // below the base path of the API
		c.notFound(w, r)
		return
	}
	if rest == "" || rest == "/" {
		w.Header().Set("Vary", "Accept-Language")
		redirect(w, r, "/docs/"+preferred(r.Header.Values("Accept-Language"))+"/start")
		return
	}
	folder, name, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case folder == "assets":
		if a, ok := assets()[name]; ok {
			a.serve(w, r)
			return
		}
	case !slices.Contains(languages, folder):
	case name == "":
		redirect(w, r, "/docs/"+folder+"/start")
		return
	case name == referenceName:
		w.Header().Set("Content-Security-Policy", viewerPolicy)
		c.reference(folder).serve(w, r)
		return
	default:
		if p, ok := pages()[folder+"/"+name]; ok {
			w.Header().Set("Content-Security-Policy", pagePolicy)
			p.serve(w, r)
			return
		}
	}
	c.notFound(w, r)
}

func redirect(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-cache")
	http.Redirect(w, r, to, http.StatusFound) //nolint:gosec // to is one of our own paths, by a language of ours
}

const (
	// pagePolicy lets a guide load its style sheet and nothing else.
	pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'none'"
	// viewerPolicy lets the viewer run the embedded scripts and call this origin. The viewer makes style elements when it
	// runs, so that styles cannot be held to a list; scripts are.
	viewerPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'none'"
)

// languages are those of the guides, the default first.
var languages = []string{"ko", "en"}

// preferred returns the language of the portal that the header names first, else the default. Weights are not looked
// at: browsers list what they prefer first.
func preferred(header []string) string {
	for tag := range strings.SplitSeq(strings.Join(header, ","), ",") {
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if slices.Contains(languages, tag) {
			return tag
		}
	}
	return languages[0]
}

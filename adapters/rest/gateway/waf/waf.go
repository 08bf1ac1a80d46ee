// Package waf is the optional web application firewall of the gateway: Coraza with the OWASP Core Rule Set
// (docs/waf.md). It looks at requests alone, and sums up what the rules find; from the threshold on, a request looks
// like an attack, which is reported or refused. Begin with New.
package waf

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/rest/middleware"
	"phonebill/core/fault"
)

// Config is the configuration of a firewall.
type Config struct {
	Block    bool     // an attack is refused; else it is only reported
	Routes   []string // paths below the base that are looked at, with all below them; none: every path
	Base     string   // of the API, which a path may have or not, like /api/v1
	Probes   []string // paths that are never looked at
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Firewall judges requests by the rule set. It is safe for concurrent use.
type Firewall struct {
	Config
	engine   coraza.WAF
	requests *prometheus.CounterVec
}

// directives set the engine up. The engine itself never refuses: what it finds is judged here, so that to report and to
// refuse differ in nothing else. A body that cannot be parsed is refused by the contract, which says why. Secrets are
// compared as a whole and never interpreted; they may look like anything, so they are not looked at.
const directives = `
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 131072
SecRequestBodyInMemoryLimit 131072
SecRequestBodyJsonDepthLimit 64
SecArgumentsLimit 1000
SecResponseBodyAccess Off
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+[+])?json" \
  "id:100,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
Include @crs-setup.conf.example
SecAction "id:101,phase:1,nolog,pass,t:none,setvar:'tx.allowed_methods=GET HEAD POST PUT PATCH DELETE OPTIONS'"
SecAction "id:102,phase:1,nolog,pass,t:none,\
  setvar:'tx.allowed_request_content_type=|application/json| |application/problem+json|'"
Include @owasp_crs/REQUEST-*.conf
`

// secrets are the fields of request bodies that hold secrets.
var secrets = []string{"password", "currentPassword", "newPassword", "otp", "refreshToken"}

// New returns the firewall. It reads the whole rule set, which takes a fifth of a second.
func New(c Config) (*Firewall, error) {
	text := directives
	for _, name := range secrets {
		text += `SecRuleUpdateTargetByTag "OWASP_CRS" "!ARGS:json.` + name + "\"\n"
	}
	engine, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(text))
	if err != nil {
		return nil, fmt.Errorf("waf: %w", err)
	}
	f := &Firewall{Config: c, engine: engine, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_waf_requests_total",
		Help: "Requests that the firewall looked at, by route and result.",
	}, []string{"route", "result"})}
	if err := c.Registry.Register(f.requests); err != nil {
		return nil, fmt.Errorf("waf: register metrics: %w", err)
	}
	return f, nil
}

// Screen returns the middleware. It belongs inside of what limits the size and the time of a body, since it reads the
// body as a whole. fail renders FORBIDDEN.
func (f *Firewall) Screen(fail middleware.Fail) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			route, ok := f.route(r.URL.Path)
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			rules, attack := f.judge(r)
			switch {
			case !attack:
				f.requests.WithLabelValues(route, "passed").Inc()
			case f.Block:
				f.report(r, route, "blocked", rules)
				fail(w, r, fault.New(fault.PermissionDenied))
				return
			default:
				f.report(r, route, "detected", rules)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// report counts an attack and logs it: the rules that matched and the setting that made the firewall look, and nothing
// of the request, which may hold personal data.
func (f *Firewall) report(r *http.Request, route, result string, rules []int) {
	f.requests.WithLabelValues(route, result).Inc()
	f.Log.LogAttrs(r.Context(), slog.LevelWarn, "a request looks like an attack", slog.String("result", result),
		slog.String("route", route), slog.Any("rules", rules))
}

// route returns which of the routes a path belongs to.
func (f *Firewall) route(path string) (string, bool) {
	if slices.Contains(f.Probes, path) {
		return "", false
	}
	if len(f.Routes) == 0 {
		return "/", true
	}
	path = strings.TrimPrefix(path, f.Base)
	for _, route := range f.Routes {
		if route == "/" || path == route || strings.HasPrefix(path, route+"/") {
			return route, true
		}
	}
	return "", false
}

// Rules of the set: its findings are in a range of ids, and one of two rules says that their sum is over the threshold.
const (
	firstFinding, lastFinding = 911_000, 948_999
	overThreshold, overEarly  = 949_110, 949_111
)

// judge runs the rules on a request. The body can be read again afterwards.
func (f *Firewall) judge(r *http.Request) (findings []int, attack bool) {
	tx := f.engine.NewTransaction()
	defer func() { _ = tx.Close() }() // frees memory; bodies are too small for files
	f.describe(tx, r)
	tx.ProcessRequestHeaders()
	if r.Body != nil && r.Body != http.NoBody {
		read, err := io.ReadAll(r.Body)
		r.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(read), failing{err}), Closer: r.Body}
		if err == nil { // else nobody will take the request
			_, _, _ = tx.WriteRequestBody(read) // the engine interrupts nothing
		}
	}
	_, _ = tx.ProcessRequestBody() // as above
	for _, m := range tx.MatchedRules() {
		switch id := m.Rule().ID(); {
		case id == overThreshold, id == overEarly:
			attack = true
		case id >= firstFinding && id <= lastFinding && m.Message() != "" && !slices.Contains(findings, id):
			findings = append(findings, id)
		}
	}
	return findings, attack
}

// unseen are headers that hold secrets, which are verified and never interpreted.
var unseen = []string{"Authorization", "Cookie", "X-Service-Credential"}

// describe tells the engine the request line, the headers, and whose request it is.
func (f *Firewall) describe(tx types.Transaction, r *http.Request) {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	tx.ProcessConnection(peer.Addr().String(), int(peer.Port()), "", 0)
	tx.ProcessURI(r.URL.RequestURI(), r.Method, r.Proto)
	tx.AddRequestHeader("Host", r.Host)
	for name, values := range r.Header {
		if slices.Contains(unseen, name) {
			continue
		}
		for _, value := range values {
			tx.AddRequestHeader(name, value)
		}
	}
	if r.Header.Get("Content-Length") == "" && r.ContentLength > 0 {
		tx.AddRequestHeader("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	for _, encoding := range r.TransferEncoding {
		tx.AddRequestHeader("Transfer-Encoding", encoding)
	}
}

// replayed is a body that has been read.
type replayed struct {
	io.Reader
	io.Closer
}

// failing returns the error with which reading ended; io.EOF for none.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

package rest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonebill/adapters/rest/internal/commongen"
	"phonebill/core/fault"
	"phonebill/ports"
)

// FailureCode returns the code of a request that was accepted and failed later, nil for no code.
func FailureCode(c fault.Code) *commongen.FailureCode {
	if c == "" {
		return nil
	}
	return new(commongen.FailureCode(c))
}

// StatusClientGone is the status of a request whose client left before the answer; it appears in logs only. The number
// is nginx's.
const StatusClientGone = 499

// unknownRetry is the Retry-After of a 429 or 503 whose error does not name a time.
const unknownRetry = 3 * time.Second

// ProblemWriter renders errors. It is safe for concurrent use.
type ProblemWriter struct {
	log *slog.Logger
	now ports.Clock
}

// NewProblemWriter returns a Writer that logs to log and takes timestamps from now.
func NewProblemWriter(log *slog.Logger, now ports.Clock) *ProblemWriter {
	return &ProblemWriter{log: log, now: now}
}

// Status returns the HTTP status of a kind of failure.
func Status(k fault.Kind) int {
	switch k {
	case fault.Internal:
		return http.StatusInternalServerError
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooSlow:
		return http.StatusRequestTimeout
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unprocessable:
		return http.StatusUnprocessableEntity
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.BadGateway:
		return http.StatusBadGateway
	case fault.GatewayTimeout:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// Write writes err as the answer and logs it once: internal failures with their cause, refusals at debug level. The
// body never contains a cause. The caller sets Allow before it writes a 405.
func (p *ProblemWriter) Write(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && errors.Is(r.Context().Err(), context.Canceled) {
		p.log.LogAttrs(r.Context(), slog.LevelDebug, "client went away", slog.String("route", r.Pattern))
		w.WriteHeader(StatusClientGone)
		return
	}
	f := fault.From(err)
	if f == nil {
		f = fault.New(fault.InternalServerError).Because(errors.New("problem: no error to write"))
	}
	var limit *http.MaxBytesError
	if f.Kind() == fault.Internal && errors.As(err, &limit) {
		f = fault.New(fault.PayloadTooLarge).Because(err)
	}
	if f.Kind() == fault.Internal && errors.Is(err, context.DeadlineExceeded) {
		f = fault.New(fault.ServiceUnavailable).Because(err)
	}
	status := Status(f.Kind())
	p.report(r, f, status)
	p.render(w, r, f, status)
}

// WriteMalformed writes an error of decoding a request: an unclassified one is a bad request, not an internal error.
func (p *ProblemWriter) WriteMalformed(w http.ResponseWriter, r *http.Request, err error) {
	if f := fault.From(err); f != nil && f.Kind() == fault.Internal {
		err = fault.InvalidField("body", "요청을 해석할 수 없습니다").Because(err)
	}
	p.Write(w, r, err)
}

func (p *ProblemWriter) report(r *http.Request, f *fault.Error, status int) {
	level := slog.LevelDebug
	attrs := []slog.Attr{
		slog.String("code", string(f.Code())), slog.Int("status", status),
		slog.String("method", r.Method), slog.String("route", r.Pattern),
		slog.String("httpRequestId", ports.TraceOf(r.Context()).RequestID),
		slog.String("traceId", ports.TraceOf(r.Context()).TraceID),
	}
	if cause := f.Unwrap(); cause != nil && status >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.String("cause", cause.Error()))
	}
	p.log.LogAttrs(r.Context(), level, "request refused", attrs...)
}

func (p *ProblemWriter) render(w http.ResponseWriter, r *http.Request, f *fault.Error, status int) {
	h := w.Header()
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(f.Code()))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter(f.RetryAfter()))
	}
	if f.Replay() {
		h.Set("Idempotency-Replayed", "true")
	}
	h.Del("Content-Length")
	h.Set("Cache-Control", "no-store")
	facts := p.facts(r, f)
	var body any = envelope{Error: facts}
	h.Set("Content-Type", "application/json")
	if wantsProblem(r.Header.Values("Accept")) {
		body = facts.rfc9457(status)
		h.Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		p.log.LogAttrs(r.Context(), slog.LevelDebug, "error response not written", slog.Any("cause", err))
	}
}

func (p *ProblemWriter) facts(r *http.Request, f *fault.Error) facts {
	out := facts{
		Code: string(f.Code()), Message: f.Message(), Details: f.Details(),
		Timestamp: p.now().UTC().Format(time.RFC3339), Path: r.URL.Path, TraceID: ports.TraceOf(r.Context()).TraceID,
	}
	for _, field := range f.Fields() {
		out.Fields = append(out.Fields, badField{field.Name, field.Reason})
	}
	return out
}

// challenge is RFC 6750: no error attribute when no token was sent, invalid_token for one that is no good.
func challenge(c fault.Code) string {
	const realm = `Bearer realm="phonebill"`
	if slices.Contains([]fault.Code{fault.TokenExpired, fault.TokenInvalid, fault.TokenRevoked}, c) {
		return realm + `, error="invalid_token"`
	}
	return realm
}

// retryAfter is whole seconds, at least one.
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = unknownRetry
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

// envelope is the error body of the API (openapi/common.yaml, ErrorEnvelope).
type envelope struct {
	Success bool  `json:"success"`
	Error   facts `json:"error"`
}

type facts struct {
	Code      string            `json:"code"`
	Message   string            `json:"message"`
	Details   map[string]string `json:"details,omitempty"`
	Timestamp string            `json:"timestamp"`
	Path      string            `json:"path"`
	TraceID   string            `json:"traceId"`
	Fields    []badField        `json:"fields,omitempty"`
}

type badField struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// details9457 is the same as RFC 9457 (openapi/common.yaml, Problem).
type details9457 struct {
	Type      string            `json:"type"`
	Title     string            `json:"title"`
	Status    int               `json:"status"`
	Detail    string            `json:"detail"`
	Instance  string            `json:"instance"`
	Code      string            `json:"code"`
	TraceID   string            `json:"traceId"`
	Timestamp string            `json:"timestamp"`
	Details   map[string]string `json:"details,omitempty"`
	Fields    []badField        `json:"fields,omitempty"`
}

func (f facts) rfc9457(status int) details9457 {
	return details9457{
		Type: "urn:phonebill:problem:" + f.Code, Title: http.StatusText(status), Status: status, Detail: f.Message,
		Instance: f.Path, Code: f.Code, TraceID: f.TraceID, Timestamp: f.Timestamp, Details: f.Details, Fields: f.Fields,
	}
}

// wantsProblem reports whether the Accept headers prefer RFC 9457, named explicitly, to plain JSON.
func wantsProblem(accept []string) bool {
	problem, plain := 0.0, 0.0
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		switch media {
		case "application/problem+json":
			problem = max(problem, q)
		case "application/json":
			plain = max(plain, q)
		}
	}
	return problem > 0 && problem >= plain
}

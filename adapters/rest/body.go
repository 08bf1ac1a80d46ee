package rest

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

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

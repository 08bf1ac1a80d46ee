package kossim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Control returns the control API of openapi/kos-control.yaml, and GET /metrics. It is for tests and operators: serve
// it on a port of its own that nothing routes to.
func (s *Simulator) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health)
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /control/ledger", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, s.Ledger())
	})
	mux.HandleFunc("GET /control/calls", s.controlCalls)
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, s.Faults())
	})
	mux.HandleFunc("POST /control/faults", s.controlFault)
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /control/answers", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, s.Answers())
	})
	mux.HandleFunc("POST /control/answers", s.controlAnswer)
	mux.HandleFunc("DELETE /control/answers", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearAnswers()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /control/settings", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, s.Settings())
	})
	mux.HandleFunc("POST /control/settings", s.controlSettings)
	mux.HandleFunc("GET /control/clock", func(w http.ResponseWriter, _ *http.Request) { s.respondClock(w, nil) })
	mux.HandleFunc("POST /control/clock", s.controlClock)
	mux.HandleFunc("POST /control/customers", s.controlCustomers)
	mux.HandleFunc("POST /control/reset", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Reset(); err != nil {
			refuse(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (s *Simulator) controlCalls(w http.ResponseWriter, r *http.Request) {
	var since time.Time
	for name := range r.URL.Query() {
		if name != "since" {
			refuse(w, fmt.Errorf("%w: %s is no parameter", ErrInvalid, name))
			return
		}
	}
	if raw := r.URL.Query().Get("since"); raw != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, raw); err != nil {
			refuse(w, fmt.Errorf("%w: since", ErrInvalid))
			return
		}
	}
	respond(w, http.StatusOK, s.CallsSince(since))
}

func (s *Simulator) controlFault(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Fault
		Rate *float64 `json:"rate"` // 0 is "never" here, but "always" in Fault
	}
	if !read(w, r, &in) {
		return
	}
	if in.Rate != nil {
		in.Fault.Rate = *in.Rate
	}
	never := in.Rate != nil && *in.Rate == 0
	if never {
		in.Fault.Rate = 1
	}
	err := in.check()
	if err == nil && !never {
		err = s.AddFault(in.Fault)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, http.StatusCreated, s.Faults())
}

func (s *Simulator) controlAnswer(w http.ResponseWriter, r *http.Request) {
	var in Answer
	if !read(w, r, &in) {
		return
	}
	if err := s.AddAnswer(in); err != nil {
		refuse(w, err)
		return
	}
	respond(w, http.StatusCreated, s.Answers())
}

func (s *Simulator) controlSettings(w http.ResponseWriter, r *http.Request) {
	var in struct {
		QuotaPerMinute *int      `json:"quotaPerMinute"`
		StatusQuery    *onOff    `json:"statusQuery"`
		Tokens         *[]string `json:"tokens"`
	}
	if !read(w, r, &in) {
		return
	}
	if in.QuotaPerMinute != nil && *in.QuotaPerMinute < 0 {
		refuse(w, fmt.Errorf("%w: quotaPerMinute", ErrInvalid))
		return
	}
	if in.Tokens != nil {
		if err := s.SetTokens(*in.Tokens...); err != nil {
			refuse(w, err)
			return
		}
	}
	if in.QuotaPerMinute != nil {
		s.SetQuota(*in.QuotaPerMinute)
	}
	if in.StatusQuery != nil {
		s.SetStatusQuery(bool(*in.StatusQuery))
	}
	respond(w, http.StatusOK, s.Settings())
}

// onOff unmarshals true, false, "on" and "off".
type onOff bool

func (o *onOff) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `true`, `"on"`:
		*o = true
	case `false`, `"off"`:
		*o = false
	default:
		return errMalformed
	}
	return nil
}

// span unmarshals seconds (3600) or a Go duration ("720h").
type span time.Duration

func (d *span) UnmarshalJSON(b []byte) error {
	var seconds float64
	if json.Unmarshal(b, &seconds) == nil {
		*d = span(seconds * float64(time.Second))
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = span(parsed)
	return err
}

func (s *Simulator) controlClock(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Advance *span      `json:"advance"`
		Set     *time.Time `json:"set"`
	}
	if !read(w, r, &in) {
		return
	}
	switch {
	case (in.Advance == nil) == (in.Set == nil):
		s.respondClock(w, fmt.Errorf("%w: either advance or set", ErrInvalid))
	case in.Advance != nil:
		s.respondClock(w, s.Advance(time.Duration(*in.Advance)))
	default:
		s.respondClock(w, s.SetClock(*in.Set))
	}
}

func (s *Simulator) respondClock(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, http.StatusOK, map[string]time.Time{"now": s.Now().UTC()})
}

func (s *Simulator) controlCustomers(w http.ResponseWriter, r *http.Request) {
	var in Generate
	if !read(w, r, &in) {
		return
	}
	made, err := s.AddCustomers(in)
	if err != nil {
		refuse(w, err)
		return
	}
	respond(w, http.StatusOK, made)
}

// read unmarshals one JSON object without unknown fields, or writes 400 and returns false.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || !whole(body, into) {
		refuse(w, fmt.Errorf("%w: body", ErrInvalid))
		return false
	}
	return true
}

// refuse writes 400 when err wraps ErrInvalid, else 500.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, ErrInvalid) {
		status = http.StatusBadRequest
	}
	respond(w, status, map[string]string{"message": err.Error()})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // on an error the client is gone
}

// whole reports whether the body is one JSON object without unknown fields and nothing else.
func whole(body []byte, into any) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if dec.Decode(into) != nil {
		return false
	}
	_, err := dec.Token()
	return errors.Is(err, io.EOF)
}

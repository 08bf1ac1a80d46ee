package mvnoapsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"phonebill/adapters/mvnoap/internal/apgen"
)

const maxBody = 1 << 20

// Handler returns the API of openapi/mvnoap.yaml, and GET /health.
func (s *Simulator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health)
	mux.Handle("POST /notifications/bill-results", s.notification(BillResult, readBillResult))
	mux.Handle("POST /notifications/product-change-results", s.notification(ProductChangeResult, readChangeResult))
	return mux
}

// Control returns the control API of openapi/mvnoap-control.yaml: serve it on a port of its own that nothing routes to.
func (s *Simulator) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", health)
	mux.HandleFunc("GET /control/received",
		func(w http.ResponseWriter, _ *http.Request) {
			respond(w, http.StatusOK, s.Received())
		})
	mux.HandleFunc("POST /control/faults", s.controlFault)
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /control/reset", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Reset(); err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

func (s *Simulator) notification(kind string, read func([]byte) (line string, sequence int64, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		if f, ok := s.strike(); ok {
			s.fail(w, r, f)
			return
		}
		if err := s.verify(body, r.Header); err != nil {
			refuse(w, http.StatusUnauthorized, err)
			return
		}
		line, sequence, err := read(body)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		err = s.store(Event{
			ID: r.Header.Get(standardwebhooks.HeaderWebhookID), Type: kind, LineNumber: line, Sequence: sequence,
			ReceivedAt: s.clock().UTC(), Payload: body,
		})
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *Simulator) fail(w http.ResponseWriter, r *http.Request, f Fault) {
	if f.Mode == Fail {
		refuse(w, f.Status, errors.New("configured to fail"))
		return
	}
	if f.Mode == Hang {
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
	}
	panic(http.ErrAbortHandler) // net/http closes the connection without a response
}

func (s *Simulator) verifyTime(h http.Header) error {
	seconds, err := strconv.ParseInt(h.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return standardwebhooks.ErrInvalidHeaders
	}
	age := s.clock().Sub(time.Unix(seconds, 0))
	switch {
	case age > tolerance:
		return standardwebhooks.ErrMessageTooOld
	case age < -tolerance:
		return standardwebhooks.ErrMessageTooNew
	}
	return nil
}

func readBillResult(body []byte) (line string, sequence int64, err error) {
	var in apgen.BillResult
	if err := json.Unmarshal(body, &in); err != nil {
		return "", 0, fmt.Errorf("not a bill result: %w", err)
	}
	if in.LineNumber == "" || in.Sequence < 1 || in.Month == "" || !in.Status.Valid() {
		return "", 0, errors.New("lineNumber, sequence, month or status is missing")
	}
	return in.LineNumber, in.Sequence, nil
}

func readChangeResult(body []byte) (line string, sequence int64, err error) {
	var in apgen.ProductChangeResult
	if err := json.Unmarshal(body, &in); err != nil {
		return "", 0, fmt.Errorf("not a product change result: %w", err)
	}
	if in.LineNumber == "" || in.Sequence < 1 || in.NewProductCode == "" || !in.ProcessResult.Valid() {
		return "", 0, errors.New("lineNumber, sequence, newProductCode or processResult is missing")
	}
	return in.LineNumber, in.Sequence, nil
}

func (s *Simulator) controlFault(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Fault
		Rate *float64 `json:"rate"` // 0 is "never" here, but "always" in Fault
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err != nil || dec.Decode(&in) != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("%w: body", ErrInvalid))
		return
	}
	if in.Rate != nil {
		in.Fault.Rate = *in.Rate
	}
	err = in.check()
	if err == nil && (in.Rate == nil || *in.Rate > 0) {
		err = s.AddFault(in.Fault)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func health(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, map[string]string{"status": "UP"})
}

func refuse(w http.ResponseWriter, status int, err error) {
	respond(w, status, map[string]string{"message": err.Error()})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

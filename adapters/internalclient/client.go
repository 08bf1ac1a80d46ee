// Package internalclient is the client of openapi/internal.yaml. Auth asks the auth service on behalf of the other
// services and the gateway; Services asks the instances of the services on behalf of the gateway and the command
// line.
package internalclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// newClient returns a client of the internal API at an origin. It sends the token that all services share, unless
// that is empty, and follows no redirect.
func newClient(origin string, token personal.Secret, doer *http.Client) *gen.Client {
	return &gen.Client{Server: origin + "/", Client: doer, RequestEditors: []gen.RequestEditorFn{
		func(_ context.Context, r *http.Request) error {
			if token.Reveal() != "" {
				r.Header.Set("Authorization", "Bearer "+token.Reveal())
			}
			return nil
		},
	}}
}

// newDoer returns the HTTP client below; a timeout of zero leaves the time to the caller's context, and via nil means
// http.DefaultTransport.
func newDoer(via http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: via, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// read sends a request and returns the body of its answer, of at most limit bytes. Another status than the wanted one
// is a *statusError.
func read(send func() (*http.Response, error), want int, limit int64) ([]byte, error) {
	res, err := send()
	if err != nil {
		return nil, fmt.Errorf("internalclient: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("internalclient: %w", err)
	case res.StatusCode != want:
		return nil, &statusError{res.StatusCode, body}
	case int64(len(body)) > limit:
		return nil, badAnswer(fmt.Errorf("over %d bytes", limit))
	}
	return body, nil
}

// decode reads an answer; one that is not of its form is ports.ErrBadAnswer.
func decode[T any](body []byte) (answer T, err error) {
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, badAnswer(err)
	}
	return answer, nil
}

func badAnswer(err error) error { return fmt.Errorf("internalclient: %w: %w", ports.ErrBadAnswer, err) }

// statusError is an answer with another status than the wanted one.
type statusError struct {
	status int
	body   []byte
}

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("internalclient: status %d", e.status) }

// refusals are the codes with which a service refuses a request, by status.
var refusals = map[int]fault.Code{
	http.StatusBadRequest: fault.ValidationError, http.StatusNotFound: fault.ResourceNotFound,
	http.StatusConflict: fault.StateConflict, http.StatusTooManyRequests: fault.RateLimitExceeded,
}

// toFault returns the refusal that the service answered with, in its words; every other error is SERVICE_UNAVAILABLE.
// A 404 without a refusal comes from an instance of a release that does not have the operation.
func toFault(err error) error {
	var answered *statusError
	if !errors.As(err, &answered) {
		return unavailable(err)
	}
	refusal, err := decode[gen.Refusal](answered.body)
	code, known := refusals[answered.status]
	if err != nil || !known || refusal.Code != string(code) {
		return unavailable(badAnswer(answered))
	}
	f := fault.New(code)
	if refusal.Message != "" {
		f = f.WithMessage(refusal.Message)
	}
	for name, value := range refusal.Details {
		f = f.WithDetail(name, value)
	}
	return f
}

func unavailable(cause error) error { return fault.New(fault.ServiceUnavailable).Because(cause) }

// seconds is the duration of n seconds.
func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

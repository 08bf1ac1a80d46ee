// Package fault is the one vocabulary of failure: the kind of failure, the public code that clients see, and a message
// that is safe to show. Causes are kept for logs and are never shown.
package fault

import (
	"errors"
	"time"
)

// Kind says what sort of failure an error is. The set is closed; adapters/rest maps every kind to one HTTP status
// (the exhaustive linter fails when a kind has none).
type Kind uint8

// The kinds. Internal is the zero value on purpose: an unclassified error shows nothing outside.
const (
	Internal         Kind = iota // our bug or a broken dependency that the caller cannot help
	Invalid                      // the request is malformed; Fields name what is wrong
	Unauthenticated              // no, wrong, expired or revoked credentials
	Forbidden                    // known caller without the right
	NotFound                     // no such thing, or not the caller's (ADR 17)
	MethodNotAllowed             // the path exists, the method does not
	Conflict                     // the state of the thing forbids it now
	TooSlow                      // the body did not arrive in time
	TooLarge                     // the body is over the limit
	Unprocessable                // well-formed but contradicts an earlier request (idempotency key reused)
	RateLimited                  // too many requests; RetryAfter says when
	Unavailable                  // a backend is unavailable now; RetryAfter says when to try again
	BadGateway                   // a service behind the gateway broke off
	GatewayTimeout               // a service behind the gateway did not respond in time
)

// Field names one bad input and says why, in the language of the reader.
type Field struct{ Name, Reason string }

// Error is a failure with a public face. It is immutable: the With methods return copies, so that package-level
// sentinels can be refined safely from many goroutines.
type Error struct {
	code       Code
	message    string
	fields     []Field
	details    map[string]string
	retryAfter time.Duration
	replay     bool
	cause      error
}

// New returns an error of the given code with the catalogue's message.
func New(code Code) *Error { return &Error{code: code} }

// InvalidField returns the usual 400: one field, one reason.
func InvalidField(name, reason string) *Error {
	return New(ValidationError).WithField(name, reason)
}

// From finds the fault in err's chain; an unclassified error becomes an INTERNAL_SERVER_ERROR that keeps it as cause.
// From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var f *Error
	if errors.As(err, &f) {
		return f
	}
	return New(InternalServerError).Because(err)
}

// AsReplay marks the failure as that of an earlier request under the same idempotency key.
func (e *Error) AsReplay() *Error { c := *e; c.replay = true; return &c }

// Replay reports whether the failure is that of an earlier request under the same idempotency key.
func (e *Error) Replay() bool { return e.replay }

// Because keeps cause for the logs; it is never shown to a client.
func (e *Error) Because(cause error) *Error { c := *e; c.cause = cause; return &c }

// WithMessage replaces the catalogue's message by a more exact one, equally safe to show.
func (e *Error) WithMessage(message string) *Error { c := *e; c.message = message; return &c }

// WithField adds one bad field.
func (e *Error) WithField(name, reason string) *Error {
	c := *e
	c.fields = append(append([]Field(nil), e.fields...), Field{name, reason})
	return &c
}

// WithDetail adds one fact for the client, for instance the request id of the order in the way.
func (e *Error) WithDetail(key, value string) *Error {
	c := *e
	c.details = make(map[string]string, len(e.details)+1)
	for k, v := range e.details {
		c.details[k] = v
	}
	c.details[key] = value
	return &c
}

// RetryIn sets when the client should try again (the Retry-After header).
func (e *Error) RetryIn(d time.Duration) *Error { c := *e; c.retryAfter = d; return &c }

// Code returns the public code.
func (e *Error) Code() Code { return e.code }

// Kind returns the catalogue's kind of the code.
func (e *Error) Kind() Kind { return e.code.entry().Kind }

// Message is safe to show to the customer.
func (e *Error) Message() string {
	if e.message != "" {
		return e.message
	}
	return e.code.entry().Message
}

// Unexpected reports a failure that the business did not foresee: one for the log of a background worker. Nil is none.
func (e *Error) Unexpected() bool { return e != nil && e.Kind() == Internal }

// Fields returns the bad inputs, in the order they were found. The slice is shared; do not change it.
func (e *Error) Fields() []Field { return e.fields }

// Details are facts for the client. The map is shared; do not change it.
func (e *Error) Details() map[string]string { return e.details }

// RetryAfter is 0 when nothing is known.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// Error is for logs; it includes the cause.
func (e *Error) Error() string {
	s := string(e.code)
	if e.message != "" {
		s += ": " + e.message
	}
	for _, f := range e.fields {
		s += "; " + f.Name + ": " + f.Reason
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is compare by code, so that fault.New(fault.NotFoundCode) works as a sentinel.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.code == e.code
}

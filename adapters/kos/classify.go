package kos

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"phonebill/core/fault"
	"phonebill/ports"
)

// The result codes of KOS.
const (
	codeOK            = "0000"
	codeUnknownLine   = "E001"
	codeNoBill        = "E002"
	codeLineNotInUse  = "E003"
	codeContractTerm  = "E101"
	codeIncompatible  = "E102"
	codeUnpaid        = "E103"
	codeNotOnSale     = "E104"
	codeOtherOperator = "E105"
	codeNotCurrent    = "E106"
	codeReused        = "E110"
	codeMalformed     = "E400"
	codeOverQuota     = "E429"
	codeSystem        = "E999"
)

// verdict is the result of a call. The set is closed: the exhaustive linter checks every switch on it.
type verdict uint8

const (
	answered     verdict = iota // 0000 with the data asked for
	business                    // KOS refused for a business reason
	unsupported                 // this KOS lacks the operation (HTTP 404)
	overQuota                   // KOS reports that we exceeded its quota (E429)
	ourFault                    // KOS reports a malformed request (E400): a bug of ours
	unknownKey                  // KOS refused our credential (401, 403) and did not read the request
	broken                      // KOS failed, or the connection broke after it was made
	malformed                   // the answer has no valid envelope, or belongs to another question: KOS has failed
	unreadable                  // the envelope is valid, the data in it cannot be used
	noAnswer                    // sent, but our time ran out
	callerGone                  // the caller gave up after the request was sent
	noConnection                // KOS could not be reached: nothing was sent
	gaveUp                      // the caller gave up, or had no time left, before there was a connection
	quotaUsedUp                 // our own budget is used up: nothing was sent
	breakerOpen                 // the breaker did not let the call pass: nothing was sent
)

// notAsked reports whether provably nothing was sent.
func (v verdict) notAsked() bool {
	return v == noConnection || v == gaveUp || v == quotaUsedUp || v == breakerOpen
}

// result returns the word for the call log and the metrics when KOS gave no code.
func (v verdict) result() string {
	switch v {
	case answered:
		return codeOK
	case unknownKey:
		return "REFUSED"
	case business, unsupported, overQuota, ourFault, broken:
		return "BROKEN"
	case malformed:
		return "MALFORMED"
	case unreadable:
		return "UNREADABLE"
	case noAnswer:
		return "TIMEOUT"
	case callerGone:
		return "CANCELED"
	case noConnection, gaveUp:
		return "NOT_SENT"
	case quotaUsedUp:
		return "QUOTA"
	case breakerOpen:
		return "OPEN"
	default:
		return "BROKEN"
	}
}

// effect is what a verdict means for the circuit breaker.
type effect uint8

const (
	succeeds effect = iota // KOS works
	fails                  // counts as a failure
	ignored                // says nothing about KOS
)

// effect returns what the verdict means for the circuit breaker.
func (v verdict) effect() effect {
	switch v {
	case answered, business, unsupported, unreadable:
		return succeeds
	case broken, malformed, noAnswer, noConnection:
		return fails
	case overQuota, ourFault, unknownKey, callerGone, gaveUp, quotaUsedUp, breakerOpen:
		return ignored
	default:
		return fails
	}
}

// outcome is a call's verdict with its details.
type outcome struct {
	verdict    verdict
	code       string        // KOS result code, "" when none came
	retryAfter time.Duration // 0 = unknown
	cause      error         // never holds personal data
	connection bool          // the connection itself failed, whatever the line
	otherKey   bool          // unknownKey: there is another credential to try
	hurried    bool          // noAnswer: the call had less time than is sufficient for the operation
	transient  bool          // the same question may well be answered a moment later
	impossible bool          // business: a refusal that does not fit the question
}

// effect returns what the outcome means for the circuit breaker.
func (o outcome) effect() effect {
	if o.hurried {
		return ignored
	}
	return o.verdict.effect()
}

// codes is the complete table of KOS's result codes; a call with any other code is broken.
var codes = map[string]verdict{
	codeOK:            answered,
	codeUnknownLine:   business,
	codeNoBill:        business,
	codeLineNotInUse:  business,
	codeContractTerm:  business,
	codeIncompatible:  business,
	codeUnpaid:        business,
	codeNotOnSale:     business,
	codeOtherOperator: business,
	codeNotCurrent:    business,
	codeReused:        business,
	codeMalformed:     ourFault,
	codeOverQuota:     overQuota,
	codeSystem:        broken,
}

// errAnswer is the root of everything that is wrong with an answer.
var errAnswer = errors.New("kos: unusable answer")

// errMixedUp is the root of errors about an answer to another question.
var errMixedUp = fmt.Errorf("%w, not to this question", errAnswer)

func unusable(what string) error { return fmt.Errorf("%w: %s", errAnswer, what) }

func mixedUp(what string) error { return fmt.Errorf("%w: %s", errMixedUp, what) }

// judge classifies an answer. HTTP status and result code must agree: 5xx is broken whatever the code, success is HTTP
// 200 alone, a refusal may come as 200 or 4xx. decode is called for a success and returns an error when the data are
// not what was asked for. Data that cannot be used do not count against KOS as long as the envelope is valid; data of
// another question do.
func judge(x exchange, of *traits, decode func(body []byte) error) outcome {
	x.body = bytes.TrimPrefix(x.body, byteOrderMark)
	wait := retryAfter(x.header)
	code, err := envelope(x.body)
	switch {
	case x.status >= http.StatusInternalServerError:
		cause := fmt.Errorf("kos: HTTP %d", x.status)
		return outcome{verdict: broken, code: code, retryAfter: wait, cause: cause, transient: true}
	case x.status == http.StatusTooManyRequests:
		return outcome{verdict: overQuota, code: code, retryAfter: wait}
	case x.status == http.StatusUnauthorized, x.status == http.StatusForbidden:
		return outcome{verdict: unknownKey, cause: fmt.Errorf("kos: HTTP %d", x.status)}
	case x.status == http.StatusNotFound && of.optional:
		return outcome{verdict: unsupported, code: code}
	case err != nil:
		return outcome{verdict: malformed, cause: err}
	case x.status != http.StatusOK && (code == codeOK || x.status < http.StatusBadRequest):
		return outcome{verdict: malformed, code: code, cause: unusable("HTTP " + strconv.Itoa(x.status))}
	}
	v, known := codes[code]
	if !known {
		return outcome{verdict: broken, code: code, cause: unusable("unknown result code")}
	}
	if v == answered {
		switch err := decode(x.body); {
		case errors.Is(err, errMixedUp):
			return outcome{verdict: malformed, code: code, cause: err}
		case err != nil:
			return outcome{verdict: unreadable, code: code, cause: err}
		}
	}
	return outcome{
		verdict: v, code: code, retryAfter: wait, transient: code == codeSystem,
		impossible: v == business && !slices.Contains(of.refusals, code),
	}
}

// byteOrderMark may precede an answer in UTF-8 and has no meaning there.
var byteOrderMark = []byte("\xef\xbb\xbf")

// envelope returns the result code of an answer, which must be one complete JSON object in UTF-8.
func envelope(body []byte) (string, error) {
	var e struct {
		ResultCode *string `json:"resultCode"`
	}
	switch {
	case len(body) > maxAnswer:
		return "", unusable("too long")
	case !utf8.Valid(body):
		return "", unusable("not UTF-8")
	case !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")):
		return "", unusable("not a JSON object")
	case json.Unmarshal(body, &e) != nil:
		return "", unusable("broken JSON")
	case e.ResultCode == nil || *e.ResultCode == "":
		return "", unusable("no result code")
	}
	return *e.ResultCode, nil
}

// retryAfter returns the Retry-After header in seconds; 0 when there is none that is valid.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// failed classifies a call without an answer.
func failed(ctx context.Context, connected bool, err error) outcome {
	switch {
	case !connected && errors.Is(ctx.Err(), context.Canceled):
		return outcome{verdict: gaveUp, cause: ctx.Err()}
	case !connected:
		return outcome{verdict: noConnection, cause: wireFault(err, connected), connection: true, transient: true}
	case errors.Is(ctx.Err(), context.Canceled):
		return outcome{verdict: callerGone, cause: ctx.Err()}
	case ctx.Err() != nil:
		return outcome{verdict: noAnswer, cause: ctx.Err()}
	default:
		return outcome{verdict: broken, cause: wireFault(err, connected), connection: true, transient: true}
	}
}

// readError returns the error that a read returns to its caller; nil when KOS answered.
func (o outcome) readError() error {
	cause := o.cause
	switch o.verdict {
	case answered:
		return nil
	case business:
		if code, ok := o.refusal(); ok {
			return fault.New(code)
		}
		cause = unusable("result code " + o.code)
	case noAnswer, callerGone:
		cause = errors.Join(ports.ErrNoAnswer, cause)
	case noConnection, gaveUp, quotaUsedUp, breakerOpen:
		cause = errors.Join(ports.ErrNotAsked, ports.NotAskedError(o.label()), cause)
	case unsupported, overQuota, ourFault, unknownKey, broken, malformed, unreadable:
		cause = errors.Join(fmt.Errorf("kos: %s", o.label()), cause)
	}
	if o.transient {
		cause = errors.Join(ports.ErrTransient, cause)
	}
	return fault.New(fault.ServiceUnavailable).RetryIn(o.retryAfter).Because(cause)
}

// refusal maps KOS's refusal of a read to our code. A line that is not in use (E003) has no bill.
func (o outcome) refusal() (code fault.Code, ok bool) {
	switch {
	case o.impossible:
		return "", false
	case o.code == codeUnknownLine:
		return fault.LineNotFound, true
	case o.code == codeNoBill, o.code == codeLineNotInUse:
		return fault.BillNotFound, true
	default:
		return "", false
	}
}

// unknownCode stands for all codes that are not in codes, so that the set of labels stays small.
const unknownCode = "UNKNOWN_CODE"

// label returns the outcome's name in call log, logs and metrics.
func (o outcome) label() string {
	if o.code == "" || o.verdict == malformed || o.verdict == unreadable {
		return o.verdict.result()
	}
	if _, known := codes[o.code]; !known {
		return unknownCode
	}
	return o.code
}

// The errors of the wire. Only these texts are ever logged: the errors of net/http quote what the other side sent,
// which may be a customer's bill.
var (
	errDial     = errors.New("kos: no connection")
	errTLS      = errors.New("kos: TLS")
	errReset    = errors.New("kos: the connection broke")
	errTimeout  = errors.New("kos: timeout")
	errTooBig   = errors.New("kos: headers too big")
	errProtocol = errors.New("kos: not HTTP")
)

// wireFault returns the error above that stands for a transport's error.
func wireFault(err error, connected bool) error {
	var slow net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var remote tls.AlertError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &remote), errors.As(err, &authority):
		return errTLS
	case errors.As(err, &slow) && slow.Timeout():
		return errTimeout
	case !connected:
		return errDial
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return errReset
	case strings.Contains(err.Error(), "response headers exceeded"): // this error has no type
		return errTooBig
	default:
		return errProtocol
	}
}

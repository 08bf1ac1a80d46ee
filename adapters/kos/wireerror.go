package kos

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

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

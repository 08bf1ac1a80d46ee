// Package tlsfiles is TLS with certificates that are read from files and read again when they change, so that they can
// be renewed without a restart. Begin with Open.
package tlsfiles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Paths are where the files are, in PEM form. The certificate may be followed by those of the authorities between it
// and the root. CA is the authority that the other side's certificate must come from; empty where the other side
// shows none.
type Paths struct{ Cert, Key, CA string }

// Files are the certificate of this process and the authority of the other side. It is safe for concurrent use.
type Files struct {
	paths Paths
	held  atomic.Pointer[held]
}

// held is one reading of the files; it does not change.
type held struct {
	sum  [sha256.Size]byte
	cert *tls.Certificate
	ca   *x509.CertPool
}

// Open reads the files. Its error names the file that is missing or wrong, and is also returned for a certificate that
// is not valid at now.
func Open(p Paths, now time.Time) (*Files, error) {
	f := &Files{paths: p}
	_, err := f.Reload(now)
	return f, err
}

// Reload reads the files again and reports whether they have changed. With an error what was read before stays in use:
// a certificate and its key are two files, and one may have been replaced before the other. The content is compared and
// not the time of the change, since Kubernetes swaps a link to a folder.
func (f *Files) Reload(now time.Time) (changed bool, err error) {
	cert, err1 := os.ReadFile(f.paths.Cert)
	key, err2 := os.ReadFile(f.paths.Key)
	var ca []byte
	var err3 error
	if f.paths.CA != "" {
		ca, err3 = os.ReadFile(f.paths.CA)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return false, fmt.Errorf("tlsfiles: %w", err)
	}
	next := &held{sum: sha256.Sum256(bytes.Join([][]byte{cert, key, ca}, []byte{0}))}
	if before := f.held.Load(); before != nil && before.sum == next.sum {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("tlsfiles: %s and %s: %w", f.paths.Cert, f.paths.Key, err)
	}
	if now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter) {
		return false, fmt.Errorf("tlsfiles: %s is valid from %s to %s only", f.paths.Cert,
			pair.Leaf.NotBefore.Format(time.RFC3339), pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	next.cert = &pair
	if f.paths.CA != "" {
		next.ca = x509.NewCertPool()
		if !next.ca.AppendCertsFromPEM(ca) {
			return false, fmt.Errorf("tlsfiles: %s holds no certificate", f.paths.CA)
		}
	}
	f.held.Store(next)
	return true, nil
}

// NotAfter returns when the certificate in use ends.
func (f *Files) NotAfter() time.Time { return f.held.Load().cert.Leaf.NotAfter }

// base are the bounds of every connection: TLS 1.3 alone, whose cipher suites are all good, and key exchanges that hold
// against quantum computers where the other side has them.
func base() *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256},
	}
}

// Server returns the configuration of a listener. With an authority a client's certificate must come from it; a client
// without one is let in, and has to be refused where it matters (VerifiedChains is empty then): probes have none.
func (f *Files) Server() *tls.Config {
	c := base()
	c.NextProtos = []string{"h2", "http/1.1"}
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := f.held.Load()
		each := base()
		each.NextProtos = c.NextProtos
		each.Certificates = []tls.Certificate{*now.cert}
		if now.ca != nil {
			each.ClientAuth, each.ClientCAs = tls.VerifyClientCertIfGiven, now.ca
			each.SessionTicketsDisabled = true // a resumed session would outlive an authority that was removed
		}
		return each, nil
	}
	return c
}

// Dial connects to a server, shows this certificate and believes the authority alone. It is the DialTLSContext of an
// http.Transport: a tls.Config of the transport would keep the authority of the time when it was made.
func (f *Files) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("tlsfiles: %w", err)
	}
	return f.DialAs(ctx, network, address, host)
}

// DialAs is Dial to an address whose server has a certificate of the name.
func (f *Files) DialAs(ctx context.Context, network, address, name string) (net.Conn, error) {
	now, c := f.held.Load(), base()
	c.ServerName, c.RootCAs, c.Certificates = name, now.ca, []tls.Certificate{*now.cert}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}, Config: c}
	return d.DialContext(ctx, network, address) //nolint:wrapcheck // net/http looks at the error of the connection
}

const (
	dialTimeout = time.Second
	keepAlive   = 30 * time.Second
)

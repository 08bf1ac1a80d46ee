package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"phonebill/adapters/tlsfiles"
)

// tlsPair is a certificate with its key, for the servers, and what a client needs to believe it. Nil is no TLS.
type tlsPair struct {
	paths  tlsfiles.Paths
	config *tls.Config
}

// openPair reads the authority's certificate.
func openPair(paths tlsfiles.Paths) (*tlsPair, error) {
	authority, err := os.ReadFile(paths.CA)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("bench: " + paths.CA + " has no certificate")
	}
	return &tlsPair{paths, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}, nil
}

// client returns the configuration of a client; nil for plain connections.
func (p *tlsPair) client() *tls.Config {
	if p == nil {
		return nil
	}
	return p.config
}

// args returns the paths as arguments of a server; none for plain connections.
func (p *tlsPair) args() []string {
	if p == nil {
		return nil
	}
	return []string{p.paths.Cert, p.paths.Key}
}

// join writes a certificate and its key into one file, as haproxy wants them.
func (p *tlsPair) join(path string) error {
	cert, err1 := os.ReadFile(p.paths.Cert)
	key, err2 := os.ReadFile(p.paths.Key)
	err := errors.Join(err1, err2)
	if err == nil {
		err = os.WriteFile(path, append(cert, key...), 0o600)
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// Package devca is an authority that issues certificates for one machine: for development and tests, where no real one
// is at hand. Begin with Open.
package devca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"phonebill/adapters/tlsfiles"
)

// Lifetimes of what an Authority makes. A certificate is made anew when less than renewBefore of it is left; browsers
// refuse some that are longer.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 90 * 24 * time.Hour
	renewBefore   = 30 * 24 * time.Hour
)

// Authority issues certificates. It is not safe for concurrent use.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// Open reads the authority of a folder, ca.pem and ca-key.pem, or makes it there.
func Open(dir string, now time.Time) (*Authority, error) {
	a := &Authority{dir: dir}
	certPEM, err1 := os.ReadFile(a.CA())
	keyPEM, err2 := os.ReadFile(a.path("ca-key.pem"))
	if errors.Is(err1, fs.ErrNotExist) && errors.Is(err2, fs.ErrNotExist) {
		return a, a.make(now)
	}
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("devca: authority: %w", err)
	}
	var err error
	if a.cert, a.key, err = parsePair(certPEM, keyPEM); err != nil {
		return nil, fmt.Errorf("devca: authority %s: %w", a.CA(), err)
	}
	return a, nil
}

// CA is the path of the authority's certificate, which those who connect have to believe.
func (a *Authority) CA() string { return a.path("ca.pem") }

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *Authority) make(now time.Time) error {
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return fmt.Errorf("devca: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "phonebill development authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife), IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	var err error
	a.cert, a.key, err = a.write("ca", template, nil, nil)
	return err
}

// Issue returns the files of a certificate for the hosts, names or addresses, good for servers and clients. It is made
// unless there is one for these hosts with enough time left.
func (a *Authority) Issue(name string, now time.Time, hosts ...string) (tlsfiles.Paths, error) {
	p := tlsfiles.Paths{Cert: a.path(name + ".pem"), Key: a.path(name + "-key.pem"), CA: a.CA()}
	if a.stillGood(p, now, hosts) {
		return p, nil
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, _, err := a.write(name, template, a.cert, a.key)
	return p, err
}

func (a *Authority) stillGood(p tlsfiles.Paths, now time.Time, hosts []string) bool {
	certPEM, err1 := os.ReadFile(p.Cert)
	keyPEM, err2 := os.ReadFile(p.Key)
	cert, _, err3 := parsePair(certPEM, keyPEM)
	if errors.Join(err1, err2, err3) != nil || now.Add(renewBefore).After(cert.NotAfter) {
		return false
	}
	return cert.CheckSignatureFrom(a.cert) == nil &&
		!slices.ContainsFunc(hosts, func(host string) bool { return cert.VerifyHostname(host) != nil })
}

// write makes a certificate, signed by its parent or, without one, by itself, and writes it and its key.
func (a *Authority) write(
	name string, template, parent *x509.Certificate, signer crypto.Signer,
) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("devca: %w", err)
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	keyDER, err2 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, fmt.Errorf("devca: %w", err)
	}
	err1 = writePEM(a.path(name+"-key.pem"), "PRIVATE KEY", keyDER, 0o600)
	err2 = writePEM(a.path(name+".pem"), "CERTIFICATE", der, 0o644)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err //nolint:wrapcheck // of what was just made
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	// An older file keeps its mode, so it is replaced.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("devca: %w", err)
	}
	err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
	if err != nil {
		return fmt.Errorf("devca: %w", err)
	}
	return nil
}

func parsePair(certPEM, keyPEM []byte) (*x509.Certificate, crypto.Signer, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, errors.New("it is not in PEM form")
	}
	cert, err1 := x509.ParseCertificate(certBlock.Bytes)
	key, err2 := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("its key cannot sign")
	}
	return cert, signer, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return new(big.Int).SetBytes(b)
}

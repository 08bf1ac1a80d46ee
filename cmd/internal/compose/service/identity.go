package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/tlsfiles"
	"phonebill/cmd/internal/boot"
)

// Identity is by which gateway and services know each other (mutual TLS).
type Identity struct {
	// The certificate, in PEM form, that this process shows to gateway and services, as their client and on its own
	// listeners (not on the gateway's public one). With it these listeners admit only who shows one of the same
	// authority, except for probes. It is read again when it changes ([docs/tls.md](docs/tls.md)).
	Cert string `env:"MTLS_CERT_FILE" json:"cert"`
	// Its key.
	Key string `env:"MTLS_KEY_FILE" json:"key"`
	// The authority that has issued the certificates of gateway and services, and of no one else.
	CA string `env:"MTLS_CA_FILE" json:"ca"`
}

// Validate implements boot.Config.
func (i Identity) Validate(f *boot.Faults) {
	some, all := i.Cert+i.Key+i.CA != "", i.Cert != "" && i.Key != "" && i.CA != ""
	if some && !all {
		f.Add("MTLS_CERT_FILE", errors.New("MTLS_CERT_FILE, MTLS_KEY_FILE and MTLS_CA_FILE belong together"))
	}
}

// certificatesInterval is how often certificates are read again.
const certificatesInterval = 5 * time.Second

// UseIdentity makes the unit's internal listener one of mutual TLS, and for a service the public one as well (Finish);
// b.Via and b.Identity are the way to others. Without an identity all stay plain.
func (b *Builder) UseIdentity(i Identity) error {
	if i.Cert == "" {
		return nil
	}
	files, err := b.OpenCertificate("identity", i.paths())
	if err != nil {
		return err
	}
	b.Identity, b.Via = files, via(files)
	b.Unit.InternalTLS = &boot.TLS{Config: files.Server(), Mutual: true}
	return nil
}

func (i Identity) paths() tlsfiles.Paths { return tlsfiles.Paths{Cert: i.Cert, Key: i.Key, CA: i.CA} }

// Via returns how a program that ends soon reaches gateway and services; nil, the ordinary way, without an identity.
func (i Identity) Via(now time.Time) (http.RoundTripper, error) {
	if i.Cert == "" {
		return nil, nil //nolint:nilnil // as http.Client has it
	}
	files, err := tlsfiles.Open(i.paths(), now)
	if err != nil {
		return nil, err
	}
	return via(files), nil
}

// DialAs returns how a program that ends soon connects to an address as the server of a name; nil, the ordinary way,
// without an identity.
func (i Identity) DialAs(
	now time.Time,
) (dial func(ctx context.Context, network, address, name string) (net.Conn, error), err error) {
	if i.Cert == "" {
		return nil, nil
	}
	files, err := tlsfiles.Open(i.paths(), now)
	if err != nil {
		return nil, err
	}
	return files.DialAs, nil
}

func via(files *tlsfiles.Files) http.RoundTripper {
	return &http.Transport{DialTLSContext: files.Dial, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
}

// OpenCertificate reads certificates, has them read again while the unit runs, and counts how long they are good.
func (b *Builder) OpenCertificate(name string, p tlsfiles.Paths) (*tlsfiles.Files, error) {
	files, err := tlsfiles.Open(p, b.Now())
	if err != nil {
		return nil, err
	}
	b.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tls_certificate_expires_seconds", Help: "How long the certificate in use is still good; alert below 14 days.",
		ConstLabels: prometheus.Labels{"certificate": name},
	}, func() float64 { return files.NotAfter().Sub(b.Now()).Seconds() }))
	b.Worker("certificate of "+name, certificatesInterval, func(ctx context.Context) (int, error) {
		changed, err := files.Reload(b.Now())
		if err != nil {
			return 0, fmt.Errorf("going on with the certificate that is good until %s: %w",
				files.NotAfter().Format(time.RFC3339), err)
		}
		if changed {
			b.Log.InfoContext(ctx, "a new certificate is in use", "certificate", name, "until", files.NotAfter())
		}
		return 0, nil
	})
	return files, nil
}

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
)

// missingError is the error of a row that cannot be measured on this machine.
type missingError struct{ name string }

func (m *missingError) Error() string { return m.name + " is not installed" }

// findProgram searches PATH and where packages put servers that a plain user's PATH may lack.
func findProgram(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name, "/opt/homebrew/bin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", &missingError{name}
}

// The configurations of the others. Each keeps connections to the backend open, formats its access log and writes it
// nowhere, and uses all cores.
const (
	// haproxy verifies signature, algorithm and expiry of each token, and counts each user's requests. It has no EdDSA,
	// and does not remember verified tokens.
	haproxyConfig = `
global
  log ring@requests local0
ring requests
  format rfc3164
  maxlen 1024
  size 65536
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend door
  bind {{.Addr}}{{if .Joined}} ssl crt {{.Joined}} ssl-min-ver TLSv1.3{{end}}
  stick-table type string len 64 size 100k expire 2m store http_req_rate(60s)
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless { var(txn.alg) -m str ES256 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"{{.PublicKey}}") 1 }
  http-request set-var(txn.now) date()
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request set-var(txn.user) var(txn.bearer),jwt_payload_query('$.sub')
  http-request track-sc0 var(txn.user)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100 }
  default_backend service
backend service
  server first {{.Backend}}
`
	// nginx has no check of tokens in its open edition: it limits by the whole Authorization header.
	nginxConfig = `
daemon off;
worker_processes auto;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/nginx-error.log;
events { worker_connections 4096; }
http {
  access_log /dev/null combined;
  client_body_temp_path {{.Dir}}/nginx-body;
  proxy_temp_path {{.Dir}}/nginx-proxy;
  fastcgi_temp_path {{.Dir}}/nginx-fastcgi;
  uwsgi_temp_path {{.Dir}}/nginx-uwsgi;
  scgi_temp_path {{.Dir}}/nginx-scgi;
  keepalive_requests 10000000;
  limit_req_zone $http_authorization zone=users:64m rate=100r/m;
  limit_req_status 429;
  upstream service { server {{.Backend}}; keepalive 256; keepalive_requests 10000000; }
  server {
    listen {{.Addr}}{{if .Cert}} ssl{{end}};
    {{if .Cert}}ssl_certificate {{.Cert}}; ssl_certificate_key {{.Key}}; ssl_protocols TLSv1.3;{{end}}
    location / {
      limit_req zone=users burst=100 nodelay;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://service;
    }
  }
}
`
	// caddy has neither a check of tokens nor a limiter without additional modules.
	caddyConfig = `
{
  admin off
  auto_https off
  default_sni 127.0.0.1
}
{{if .Cert}}https{{else}}http{{end}}://{{.Addr}} {
  {{if .Cert}}tls {{.Cert}} {{.Key}}{{end}}
  log {
    output discard
  }
  reverse_proxy {{.Backend}} {
    transport http {
      keepalive_idle_conns_per_host 512
    }
  }
}
`
)

// rival is what the configurations are filled with.
type rival struct {
	Dir, Addr, Backend, Cert, Key, Joined, PublicKey string
}

// begin writes a program's configuration, starts it and waits until it accepts connections.
func (d *doors) begin(
	ctx context.Context, name, config string, fill func(*rival) error, args func(file string) []string,
) (addr string, pid int, err error) {
	path, err := findProgram(name)
	if err != nil {
		return "", 0, err
	}
	if addr, err = freeAddr(ctx); err != nil {
		return "", 0, err
	}
	r := rival{Dir: d.dir, Addr: addr, Backend: d.backend}
	if d.files != nil {
		r.Cert, r.Key = d.files.paths.Cert, d.files.paths.Key
	}
	if fill != nil {
		if err := fill(&r); err != nil {
			return "", 0, err
		}
	}
	var text bytes.Buffer
	file := filepath.Join(d.dir, name+".conf")
	if err := template.Must(template.New(name).Parse(config)).Execute(&text, r); err != nil {
		return "", 0, fmt.Errorf("bench: %s: %w", name, err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return "", 0, fmt.Errorf("bench: %s: %w", name, err)
	}
	pid, err = d.program(ctx, path, args(file)...)
	if err != nil {
		return "", 0, err
	}
	return addr, pid, awaitListener(ctx, name, addr)
}

// program starts a server that prints nothing of interest; what it prints is in a file beside its configuration.
func (d *doors) program(ctx context.Context, path string, args ...string) (pid int, err error) {
	pid, stop, err := startQuiet(ctx, filepath.Join(d.dir, filepath.Base(path)+".log"), nil, path, args...)
	if err != nil {
		return 0, err
	}
	d.stops = append(d.stops, stop)
	return pid, nil
}

// startQuiet starts a program with more environment; what it prints goes to a file. stop ends it.
func startQuiet(
	ctx context.Context, logFile string, env []string, path string, args ...string,
) (pid int, stop func(), err error) {
	log, err := os.Create(logFile)
	if err != nil {
		return 0, nil, fmt.Errorf("bench: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(append(os.Environ(), boot.Environment+"=development"), env...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, filepath.Dir(logFile)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	err = cmd.Start()
	_ = log.Close() // the child has its own copy
	if err != nil {
		cancel()
		return 0, nil, fmt.Errorf("bench: start %s: %w", path, err)
	}
	return cmd.Process.Pid, func() { cancel(); _ = cmd.Wait() }, nil
}

// awaitListener waits until somebody accepts connections at the address.
func awaitListener(ctx context.Context, name, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: %s does not listen at %s: %w", name, addr, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *doors) haproxy(ctx context.Context) (subject, error) {
	if _, err := findProgram("haproxy"); err != nil {
		return subject{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return subject{}, fmt.Errorf("bench: %w", err)
	}
	fill := func(r *rival) error {
		public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		r.PublicKey = filepath.Join(d.dir, "es256.pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
		if err := os.WriteFile(r.PublicKey, text, 0o600); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		if d.files != nil {
			r.Joined = filepath.Join(d.dir, "joined.pem")
			return d.files.join(r.Joined)
		}
		return nil
	}
	addr, pid, err := d.begin(ctx, "haproxy", haproxyConfig, fill, func(file string) []string {
		return []string{"-db", "-f", file}
	})
	if err != nil {
		return subject{}, err
	}
	tokens, err := d.signed(key)
	if err != nil {
		return subject{}, err
	}
	return d.tokened(haproxyName, addr, pid, tokens), nil
}

// signed returns a token of each user with the claims that ours have.
func (d *doors) signed(key *ecdsa.PrivateKey) ([]string, error) {
	tools := service.RealTools(nil)
	tokens := make([]string, d.users)
	err := parallel(d.users, 2, func(i int) error {
		p := benchUser(i, tools)
		token, err := jwt.NewBuilder().Issuer("bench").Audience([]string{"bench"}).Subject(string(p.UserID)).
			JwtID(tools.NewID().String()).IssuedAt(tools.Now()).Expiration(p.ExpiresAt).
			Claim("sid", p.SessionID.String()).Claim("roles", p.Roles).Claim("permissions", p.Permissions).
			Claim("customerId", p.CustomerID).Claim("lines", []string{p.Lines[0].Digits()}).Claim("epoch", p.Epoch).Build()
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		signed, err := jwt.Sign(token, jwt.WithKey(jwa.ES256(), key))
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		tokens[i] = string(signed)
		return nil
	})
	return tokens, err
}

func (d *doors) nginx(ctx context.Context) (subject, error) {
	addr, pid, err := d.begin(ctx, "nginx", nginxConfig, nil, func(file string) []string {
		return []string{"-p", d.dir, "-c", file, "-e", filepath.Join(d.dir, "nginx-error.log")}
	})
	if err != nil {
		return subject{}, err
	}
	tokens := make([]string, d.users)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("bench-%0600d", i) // as long as a token
	}
	return d.tokened("nginx, limit_req without check of tokens", addr, pid, tokens), nil
}

func (d *doors) caddy(ctx context.Context) (subject, error) {
	addr, pid, err := d.begin(ctx, "caddy", caddyConfig, nil, func(file string) []string {
		return []string{"run", "--config", file, "--adapter", "caddyfile"}
	})
	if err != nil {
		return subject{}, err
	}
	return d.tokened("caddy, without tokens and limits", addr, pid, []string{""}), nil
}

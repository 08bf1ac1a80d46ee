package keys

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"strings"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// keyPrefix makes a leaked key recognisable, and marks its format.
const keyPrefix = "pbs1."

// MintServiceKey makes a new key of 256 random bits for the service and stores its hash. The key itself is returned
// once and stored nowhere. When the service has two live keys the older one is retired.
func MintServiceKey(
	ctx context.Context, keys ports.ServiceKeys, service string, now time.Time,
) (personal.Secret, error) {
	if _, err := auth.ParseUserID(service); err != nil {
		return personal.Secret{}, fault.InvalidField("service", "3~20자의 영문, 숫자, '_', '-'만 사용할 수 있습니다")
	}
	raw := make([]byte, sha256.Size)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	key := personal.NewSecret(keyPrefix + base64.RawURLEncoding.EncodeToString(raw))
	return key, keys.Add(ctx, auth.ServiceKey{Hash: ServiceKeyHash(key), Service: service, CreatedAt: now})
}

// ServiceKeyHash returns what is stored of a key. A key has 256 random bits, so a plain hash is enough.
func ServiceKeyHash(key personal.Secret) auth.KeyHash { return sha256.Sum256([]byte(key.Reveal())) }

// reloadInterval bounds how often an unknown key causes a reload.
const reloadInterval = time.Second

// Registry holds the live keys in memory; Reload updates them. It is safe for concurrent use.
type Registry struct {
	keys       ports.ServiceKeys
	now        ports.Clock
	mu         sync.Mutex
	known      map[auth.KeyHash]auth.ServiceKey
	reloadedAt time.Time
}

// NewRegistry returns an empty registry; it fills with the first Reload, or with the first key to check.
func NewRegistry(keys ports.ServiceKeys, now ports.Clock) *Registry {
	return &Registry{keys: keys, now: now}
}

// Reload reads the keys. While the store fails the known ones stay valid.
func (r *Registry) Reload(ctx context.Context) error {
	list, err := r.keys.List(ctx)
	if err != nil {
		return err
	}
	held := make(map[auth.KeyHash]auth.ServiceKey, len(list))
	for _, k := range list {
		held[k.Hash] = k
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = held
	return nil
}

// ServiceRequest is what a caller states about itself and, if it is a service, about the user it calls for.
type ServiceRequest struct {
	Credential personal.Secret // empty: no service
	Address    string          // of the end user
	UserAgent  string          // of the end user
}

// wrongCredential is for the developers of the calling system: its users do not see the response to a call refused with
// it.
const wrongCredential = "서비스 자격 증명이 올바르지 않거나 만료되었습니다"

// maxAgentLength is as much of a user agent as is kept.
const maxAgentLength = 256

// Identify returns the client of a request: the peer as seen, or with a valid credential the end user as stated, as far
// as stated. It fails with UNAUTHORIZED for a wrong credential, and VALIDATION_ERROR for a malformed address.
func (r *Registry) Identify(ctx context.Context, seen auth.Client, q ServiceRequest) (auth.Client, error) {
	if q.Credential.Reveal() == "" {
		return seen, nil
	}
	service, ok := r.service(ctx, ServiceKeyHash(q.Credential))
	if !ok {
		return auth.Client{}, fault.New(fault.Unauthorized).WithMessage(wrongCredential)
	}
	seen.Service = service
	if q.Address != "" {
		address, err := netip.ParseAddr(q.Address)
		if err != nil {
			return auth.Client{}, fault.InvalidField("X-End-User-Address", "올바른 IP 주소여야 합니다")
		}
		seen.IP = address.Unmap().WithZone("").String()
	}
	if q.UserAgent != "" {
		seen.UserAgent = strings.ToValidUTF8(q.UserAgent[:min(len(q.UserAgent), maxAgentLength)], "")
	}
	return seen, nil
}

// service finds the service of a key; an unknown one causes a reload, because it may be new.
func (r *Registry) service(ctx context.Context, hash auth.KeyHash) (string, bool) {
	now := r.now()
	r.mu.Lock()
	k, known := r.known[hash]
	reload := !known && now.Sub(r.reloadedAt) >= reloadInterval
	if reload {
		r.reloadedAt = now
	}
	r.mu.Unlock()
	if reload && r.Reload(ctx) == nil {
		r.mu.Lock()
		k, known = r.known[hash]
		r.mu.Unlock()
	}
	return k.Service, known && k.Live(now)
}

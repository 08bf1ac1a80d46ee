package keys

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
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
	keys       ports.ServiceKeyList
	now        ports.Clock
	mu         sync.Mutex
	known      map[auth.KeyHash]auth.ServiceKey
	reloadedAt time.Time
	failure    error // of the last Reload
}

var errNotLoaded = errors.New("the keys of services have not been read yet")

// NewRegistry returns an empty registry; it fills with the first Reload, or with the first key to check.
func NewRegistry(keys ports.ServiceKeyList, now ports.Clock) *Registry {
	return &Registry{keys: keys, now: now, failure: errNotLoaded}
}

// Reload reads the keys. While the store fails the known ones stay valid.
func (r *Registry) Reload(ctx context.Context) error {
	list, err := r.keys.List(ctx)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failure = err
		return err
	}
	held := make(map[auth.KeyHash]auth.ServiceKey, len(list))
	for _, k := range list {
		held[k.Hash] = k
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known, r.failure = held, nil
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
// as stated. It fails with UNAUTHORIZED for a wrong credential, with SERVICE_UNAVAILABLE for one that is not known
// while the keys cannot be read, and with VALIDATION_ERROR for a malformed address.
func (r *Registry) Identify(ctx context.Context, seen auth.Client, q ServiceRequest) (auth.Client, error) {
	if q.Credential.Reveal() == "" {
		return seen, nil
	}
	service, err := r.service(ctx, ServiceKeyHash(q.Credential))
	if err != nil {
		return auth.Client{}, err
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
func (r *Registry) service(ctx context.Context, hash auth.KeyHash) (string, error) {
	now := r.now()
	r.mu.Lock()
	k, known := r.known[hash]
	reload := !known && now.Sub(r.reloadedAt) >= reloadInterval
	if reload {
		r.reloadedAt = now
	}
	r.mu.Unlock()
	if reload {
		_ = r.Reload(ctx) // its failure is kept
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !known {
		k, known = r.known[hash]
	}
	switch {
	case known && k.Live(now):
		return k.Service, nil
	case !known && r.failure != nil:
		return "", fault.New(fault.ServiceUnavailable).RetryIn(reloadInterval).Because(r.failure)
	default:
		return "", fault.New(fault.Unauthorized).WithMessage(wrongCredential)
	}
}

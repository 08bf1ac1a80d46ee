package admin

import (
	"context"
	"encoding/hex"
	"strings"

	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// RotateKey makes the next signing key, which signs after the lead while tokens of the one before stay valid; see
// keys.SigningKeys.
func (s *Service) RotateKey(ctx context.Context, by Caller, reason string) (k keys.Key, err error) {
	detail := map[string]any{}
	err = s.change(ctx, call{Caller: by, action: actRotateKeys, subject: "signing keys", reason: reason, detail: detail},
		func() error {
			k, err = s.Keys.Rotate(ctx)
			detail["kid"] = k.KeyID
			return err
		})
	return k, err
}

// ReplaceKeys is for a key that leaked: a new one signs at once and all others are refused; every user's token is
// refreshed.
func (s *Service) ReplaceKeys(ctx context.Context, by Caller, reason string) (k keys.Key, err error) {
	detail := map[string]any{}
	err = s.change(ctx, call{Caller: by, action: actReplaceKeys, subject: "signing keys", reason: reason, detail: detail},
		func() error {
			k, err = s.Keys.RotateNow(ctx)
			detail["kid"] = k.KeyID
			return err
		})
	return k, err
}

// RetireKey refuses one signing key from now on, everywhere within a second. NOT_FOUND for an unknown key, CONFLICT for
// the one that signs: replace it instead.
func (s *Service) RetireKey(ctx context.Context, by Caller, kid, reason string) error {
	return s.change(ctx, call{Caller: by, action: actRetireKey, subject: kid, reason: reason}, func() error {
		held, err := s.Keys.List(ctx)
		if err != nil {
			return err
		}
		for _, k := range held {
			if k.KeyID == kid && k.State == keys.Signing {
				return fault.New(fault.StateConflict).WithField("kid", "서명 중인 키는 폐기할 수 없습니다. 먼저 교체하세요")
			}
		}
		return s.Keys.Keys.Retire(ctx, kid, s.Now())
	})
}

// MintServiceKey makes a key for a system that calls for its users, and returns it this once. Two keys of a service are
// valid at a time.
func (s *Service) MintServiceKey(
	ctx context.Context, by Caller, service, reason string,
) (key personal.Secret, err error) {
	detail := map[string]any{}
	err = s.change(ctx, call{Caller: by, action: actMintService, subject: service, reason: reason, detail: detail},
		func() error {
			key, err = keys.MintServiceKey(ctx, s.Services, service, s.Now())
			detail["key"] = ShortHash(keys.ServiceKeyHash(key))
			return err
		})
	return key, err
}

// RetireServiceKey refuses a service's key from now on, within seconds everywhere. short is the beginning of its hash,
// at least 8 digits, as ShortHash returns it. NOT_FOUND when no hash begins so, CONFLICT when several do.
func (s *Service) RetireServiceKey(ctx context.Context, by Caller, short, reason string) error {
	return s.change(ctx, call{Caller: by, action: actEndService, subject: short, reason: reason}, func() error {
		held, err := s.Services.List(ctx)
		if err != nil {
			return err
		}
		var found []auth.KeyHash
		for _, k := range held {
			if len(short) >= shortHash && strings.HasPrefix(hex.EncodeToString(k.Hash[:]), short) {
				found = append(found, k.Hash)
			}
		}
		switch len(found) {
		case 0:
			return fault.New(fault.ResourceNotFound)
		case 1:
			return s.Services.Retire(ctx, found[0], s.Now())
		default:
			return fault.New(fault.StateConflict)
		}
	})
}

// shortHash is how many digits of a hash name a key.
const shortHash = 8

// ShortHash names a service key without disclosing it.
func ShortHash(h auth.KeyHash) string { return hex.EncodeToString(h[:])[:shortHash] }

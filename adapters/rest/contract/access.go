package contract

import (
	"context"
	"errors"
	"log/slog"

	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
)

// AccessGuard implements Authenticator with the access guard. It logs who was denied which permission where
// (UFR-AUTH-020).
type AccessGuard struct {
	Guard *access.Guard
	Log   *slog.Logger // nil logs nothing
}

type principalKey struct{}

// Authenticate implements Authenticator: the returned context carries the principal. It fails with UNAUTHORIZED,
// TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, FORBIDDEN or PASSWORD_CHANGE_REQUIRED.
func (g AccessGuard) Authenticate(
	ctx context.Context, bearer, permission string, duties ...string,
) (context.Context, error) {
	exempt := make([]auth.Duty, len(duties))
	for i, d := range duties {
		exempt[i] = auth.Duty(d)
	}
	p, err := g.Guard.Admit(ctx, bearer, auth.Permission(permission), exempt...)
	if err != nil {
		if g.Log != nil && errors.Is(err, fault.New(fault.PermissionDenied)) {
			g.Log.WarnContext(ctx, "permission denied", "user", string(p.UserID), "permission", permission, "route", Route(ctx))
		}
		return nil, err
	}
	return context.WithValue(ctx, principalKey{}, p), nil
}

// Principal returns the authenticated caller of a request. For an operation without a bearer token it is the zero
// principal, who owns nothing and may do nothing.
func Principal(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

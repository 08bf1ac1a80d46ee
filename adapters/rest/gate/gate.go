// Package gate lets requests in: it puts the principal that a bearer token speaks for into the request's context.
package gate

import (
	"context"
	"errors"
	"log/slog"

	"phonebill/adapters/rest/contract"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
)

// Gate implements contract.Gate with the access guard. Denials are logged (UFR-AUTH-020): who lacked which permission where.
type Gate struct {
	Guard *access.Guard
	Log   *slog.Logger // nil logs nothing
}

type key struct{}

// Authenticate answers a context that carries the principal, or UNAUTHORIZED, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, FORBIDDEN or
// PASSWORD_CHANGE_REQUIRED.
func (g Gate) Authenticate(ctx context.Context, bearer, permission string, isFor ...string) (context.Context, error) {
	duties := make([]auth.Duty, len(isFor))
	for i, d := range isFor {
		duties[i] = auth.Duty(d)
	}
	p, err := g.Guard.Admit(ctx, bearer, auth.Permission(permission), duties...)
	if err != nil {
		if g.Log != nil && errors.Is(err, fault.New(fault.PermissionDenied)) {
			g.Log.WarnContext(ctx, "permission denied", "user", string(p.UserID), "permission", permission, "route", contract.Route(ctx))
		}
		return nil, err
	}
	return context.WithValue(ctx, key{}, p), nil
}

// Principal answers who calls; the zero principal, who owns nothing and may do nothing, for an operation without a bearer.
func Principal(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(key{}).(auth.Principal)
	return p
}

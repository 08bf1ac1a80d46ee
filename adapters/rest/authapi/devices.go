package authapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/personal"
)

const (
	// cookiePrefix begins the name of a device cookie; the user's tag ends it, so that several users of one browser do
	// not evict each other.
	cookiePrefix = "phonebill_device_"
	cookiePath   = "/api/v1/auth"
)

// cookie returns the Set-Cookie header of a device. SameSite=Lax suffices: the cookie distinguishes devices when
// passwords are guessed, and admits no request.
func (h *Handlers) cookie(d auth.DeviceCookie) string {
	c := http.Cookie{ //nolint:gosec // Secure by default
		Name: cookiePrefix + d.Tag, Value: d.Value.Reveal(), Path: cookiePath, MaxAge: int(auth.DeviceLifetime / time.Second),
		HttpOnly: true, Secure: !h.PlainCookies, SameSite: http.SameSiteLaxMode,
	}
	return c.String()
}

type devicesKey struct{}

// withDevices puts the request's device cookies into the context: the strict handlers do not see the request.
func withDevices(next gen.StrictHandlerFunc, _ string) gen.StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		var devices []personal.Secret
		for _, c := range r.Cookies() {
			if strings.HasPrefix(c.Name, cookiePrefix) {
				devices = append(devices, personal.NewSecret(c.Value))
			}
		}
		return next(context.WithValue(ctx, devicesKey{}, devices), w, r, request)
	}
}

func devicesOf(ctx context.Context) []personal.Secret {
	devices, _ := ctx.Value(devicesKey{}).([]personal.Secret)
	return devices
}

// from returns where a login or refresh came from: the peer, or what a service with a valid credential reports.
func (h *Handlers) from(ctx context.Context, p gen.RefreshParams) (auth.Client, error) {
	return h.Callers.Identify(ctx, middleware.ClientOf(ctx), keys.ServiceRequest{
		Credential: personal.NewSecret(rest.Value(p.XServiceCredential)), Address: rest.Value(p.XEndUserAddress),
		UserAgent: rest.Value(p.XEndUserAgent),
	})
}

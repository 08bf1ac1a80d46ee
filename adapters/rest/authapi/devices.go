package authapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"phonebill/adapters/rest/edge"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/core/auth"
	"phonebill/core/auth/servicekeys"
	"phonebill/core/personal"
)

const (
	// cookiePrefix begins the name of a device cookie; the user's tag ends it, so that several users of one browser do not evict each
	// other.
	cookiePrefix = "phonebill_device_"
	cookiePath   = "/api/v1/auth"
)

// cookie is the Set-Cookie header of a device. SameSite=Lax: it says who guesses, not who may; no request is allowed because of it.
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

// from is where a login or refresh came from: as seen, or as a service with a good credential tells (ADR 29).
func (h *Handlers) from(ctx context.Context, p gen.RefreshParams) (auth.Client, error) {
	return h.Callers.Identify(ctx, edge.ClientOf(ctx), servicekeys.Request{
		Credential: personal.NewSecret(value(p.XServiceCredential)), Address: value(p.XEndUserAddress), UserAgent: value(p.XEndUserAgent),
	})
}

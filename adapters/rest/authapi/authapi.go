// Package authapi serves openapi/auth.yaml: it translates between the wire and the use cases of core/auth. Begin with
// Handlers (authapi.go).
package authapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/auth/admin"
	"phonebill/core/auth/keys"
	"phonebill/core/auth/login"
	"phonebill/core/auth/selfservice"

	"phonebill/core/personal"
	"phonebill/ports"
)

// Handlers implements the generated strict server.
type Handlers struct {
	Logins    *login.Service
	Passwords *selfservice.Passwords
	Access    *access.Service
	MFA       *selfservice.SecondFactors
	Sessions  *selfservice.Sessions
	Admin     *admin.Service
	History   *selfservice.LoginHistory
	Callers   *keys.Registry
	JWKS      func() []byte // RFC 7517 JSON
	Now       ports.Clock
	// PlainCookies lets the device cookie travel over plain HTTP; for development only.
	PlainCookies bool
}

// GetJwks returns the public signing keys.
func (h *Handlers) GetJwks(context.Context, gen.GetJwksRequestObject) (gen.GetJwksResponseObject, error) {
	var set gen.JSONWebKeySet
	if err := json.Unmarshal(h.JWKS(), &set); err != nil {
		return nil, fmt.Errorf("authapi: jwks: %w", err)
	}
	return gen.GetJwks200JSONResponse{
		Body: set, Headers: gen.GetJwks200ResponseHeaders{CacheControl: "public, max-age=300"},
	}, nil
}

// Login checks user id, password and second factor, and returns the tokens of a new session.
func (h *Handlers) Login(ctx context.Context, r gen.LoginRequestObject) (gen.LoginResponseObject, error) {
	user, err := auth.ParseUserID(r.Body.UserID)
	if err != nil {
		return nil, err
	}
	password := personal.NewSecret(r.Body.Password)
	if err := auth.TypedPassword("password", password); err != nil {
		return nil, err
	}
	from, err := h.from(ctx, gen.RefreshParams(r.Params))
	if err != nil {
		return nil, err
	}
	tokens, err := h.Logins.Login(ctx, login.Request{
		UserID: user, Password: password, AutoLogin: rest.Value(r.Body.AutoLogin),
		Code: personal.NewSecret(rest.Value(r.Body.Otp)), Devices: devicesOf(ctx), From: from,
	})
	if err != nil {
		return nil, err
	}
	return gen.Login200JSONResponse{
		Body:    gen.LoginEnvelope{Success: true, Message: "로그인되었습니다", Data: toLogin(tokens)},
		Headers: gen.Login200ResponseHeaders{SetCookie: h.cookie(tokens.Device)},
	}, nil
}

// Refresh exchanges a refresh token for new tokens.
func (h *Handlers) Refresh(ctx context.Context, r gen.RefreshRequestObject) (gen.RefreshResponseObject, error) {
	from, err := h.from(ctx, r.Params)
	if err != nil {
		return nil, err
	}
	tokens, err := h.Logins.Renew(ctx, personal.NewSecret(r.Body.RefreshToken), from)
	if err != nil {
		return nil, err
	}
	return gen.Refresh200JSONResponse{Success: true, Message: "토큰이 갱신되었습니다", Data: toRefresh(tokens)}, nil
}

// Logout ends the caller's session.
func (h *Handlers) Logout(ctx context.Context, _ gen.LogoutRequestObject) (gen.LogoutResponseObject, error) {
	if err := h.Logins.Logout(ctx, contract.Principal(ctx).SessionID, middleware.ClientOf(ctx)); err != nil {
		return nil, err
	}
	return gen.Logout200JSONResponse{Success: true, Message: "로그아웃되었습니다"}, nil
}

// Verify returns the account that the access token belongs to. An invalid token has been refused before.
func (h *Handlers) Verify(ctx context.Context, _ gen.VerifyRequestObject) (gen.VerifyResponseObject, error) {
	p := contract.Principal(ctx)
	user, _, err := h.Access.Account(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	return gen.Verify200JSONResponse{Success: true, Message: "유효한 토큰입니다", Data: gen.VerifyData{
		Valid: true, ExpiresIn: int(p.ExpiresAt.Sub(h.Now()) / time.Second), User: toUser(user, p.Permissions),
	}}, nil
}

// ListPermissions returns every permission and whether the caller has it now.
func (h *Handlers) ListPermissions(
	ctx context.Context, _ gen.ListPermissionsRequestObject,
) (gen.ListPermissionsResponseObject, error) {
	p := contract.Principal(ctx)
	held, err := h.Access.Permissions(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	return gen.ListPermissions200JSONResponse{
		Success: true, Message: "권한을 조회하였습니다", Data: toPermissions(p.UserID, held),
	}, nil
}

// CheckPermission reports whether the caller may use a service.
func (h *Handlers) CheckPermission(
	ctx context.Context, r gen.CheckPermissionRequestObject,
) (gen.CheckPermissionResponseObject, error) {
	held, err := h.Access.Permissions(ctx, contract.Principal(ctx).UserID)
	if err != nil {
		return nil, err
	}
	asked := auth.Permission(r.Body.ServiceType)
	granted := slices.Contains(held, asked)
	message := "서비스를 이용할 수 있습니다"
	if !granted {
		message = "서비스 이용 권한이 없습니다"
	}
	return gen.CheckPermission200JSONResponse{Success: true, Message: message, Data: gen.PermissionCheckData{
		ServiceType: r.Body.ServiceType, HasPermission: granted, PermissionDetails: toPermission(asked, granted),
	}}, nil
}

// GetUserInfo returns the caller's account.
func (h *Handlers) GetUserInfo(
	ctx context.Context, _ gen.GetUserInfoRequestObject,
) (gen.GetUserInfoResponseObject, error) {
	user, status, err := h.Access.Account(ctx, contract.Principal(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return gen.GetUserInfo200JSONResponse{
		Success: true, Message: "사용자 정보를 조회하였습니다", Data: toUserInfo(user, status, user.Permissions(h.Now())),
	}, nil
}

// Mount registers the operations on a router.
func (h *Handlers) Mount(to *contract.Router, hooks rest.Hooks) {
	strict := gen.NewStrictHandlerWithOptions(h, []gen.StrictMiddlewareFunc{withDevices}, gen.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: hooks.Request, ResponseErrorHandlerFunc: hooks.Response,
	})
	gen.HandlerWithOptions(strict, gen.StdHTTPServerOptions{
		BaseURL: to.Base(), BaseRouter: to, ErrorHandlerFunc: hooks.Request,
	})
}

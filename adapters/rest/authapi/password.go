package authapi

import (
	"context"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/authgen"
	common "phonebill/adapters/rest/internal/commongen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth/selfservice"
	"phonebill/core/personal"
)

// proof returns the request of a caller who entered the password, and a code if there is one, once more.
func proof(ctx context.Context, current string, otp *string) selfservice.PasswordRequest {
	p := contract.Principal(ctx)
	return selfservice.PasswordRequest{
		UserID: p.UserID, Session: p.SessionID, Current: personal.NewSecret(current),
		Code:    personal.NewSecret(rest.Value(otp)),
		Devices: devicesOf(ctx), From: middleware.ClientOf(ctx),
	}
}

// ChangePassword changes the caller's own password.
func (h *Handlers) ChangePassword(
	ctx context.Context, r gen.ChangePasswordRequestObject,
) (gen.ChangePasswordResponseObject, error) {
	change := proof(ctx, r.Body.CurrentPassword, r.Body.Otp)
	change.New = personal.NewSecret(r.Body.NewPassword)
	device, err := h.Passwords.Change(ctx, change)
	if err != nil {
		return nil, err
	}
	return gen.ChangePassword200JSONResponse{
		Body:    common.MessageEnvelope{Success: true, Message: "비밀번호가 변경되었습니다"},
		Headers: gen.ChangePassword200ResponseHeaders{SetCookie: h.cookie(device)},
	}, nil
}

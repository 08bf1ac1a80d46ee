package authapi

import (
	"context"

	"phonebill/adapters/rest/edge"
	"phonebill/adapters/rest/gate"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/core/auth/password"
	"phonebill/core/personal"
)

// proof is the caller with the password he typed once more.
func proof(ctx context.Context, current string) password.Request {
	p := gate.Principal(ctx)
	return password.Request{
		UserID: p.UserID, Session: p.SessionID, Current: personal.NewSecret(current), Devices: devicesOf(ctx), From: edge.ClientOf(ctx),
	}
}

// ChangePassword changes the caller's own password.
func (h *Handlers) ChangePassword(ctx context.Context, r gen.ChangePasswordRequestObject) (gen.ChangePasswordResponseObject, error) {
	change := proof(ctx, r.Body.CurrentPassword)
	change.New = personal.NewSecret(r.Body.NewPassword)
	if err := h.Passwords.Change(ctx, change); err != nil {
		return nil, err
	}
	return gen.ChangePassword200JSONResponse{Success: true, Message: "비밀번호가 변경되었습니다"}, nil
}

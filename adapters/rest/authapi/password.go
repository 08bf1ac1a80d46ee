package authapi

import (
	"context"

	"phonebill/adapters/rest/edge"
	"phonebill/adapters/rest/gate"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/core/auth/password"
	"phonebill/core/personal"
)

// ChangePassword changes the caller's own password.
func (h *Handlers) ChangePassword(ctx context.Context, r gen.ChangePasswordRequestObject) (gen.ChangePasswordResponseObject, error) {
	p := gate.Principal(ctx)
	if err := h.Passwords.Change(ctx, password.Request{
		UserID: p.UserID, Session: p.SessionID, Current: personal.NewSecret(r.Body.CurrentPassword),
		New: personal.NewSecret(r.Body.NewPassword), Devices: devicesOf(ctx), From: edge.ClientOf(ctx),
	}); err != nil {
		return nil, err
	}
	return gen.ChangePassword200JSONResponse{Success: true, Message: "비밀번호가 변경되었습니다"}, nil
}

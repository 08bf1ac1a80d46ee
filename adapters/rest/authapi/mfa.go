package authapi

import (
	"context"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth/selfservice"
	"phonebill/core/personal"
)

// BeginTotp creates a second factor, which takes effect once it is confirmed.
func (h *Handlers) BeginTotp(ctx context.Context, r gen.BeginTotpRequestObject) (gen.BeginTotpResponseObject, error) {
	e, err := h.MFA.Begin(ctx, proof(ctx, r.Body.Password, r.Body.Otp))
	if err != nil {
		return nil, err
	}
	return gen.BeginTotp200JSONResponse{
		Success: true, Message: "인증 앱에 등록한 뒤 코드를 입력해주세요",
		Data: gen.TotpData{Secret: e.Secret.Reveal(), OtpauthURI: e.URI.Reveal()},
	}, nil
}

// ConfirmTotp puts the second factor into effect and returns its recovery codes.
func (h *Handlers) ConfirmTotp(
	ctx context.Context, r gen.ConfirmTotpRequestObject,
) (gen.ConfirmTotpResponseObject, error) {
	p := contract.Principal(ctx)
	codes, err := h.MFA.Confirm(ctx, selfservice.Confirmation{
		UserID: p.UserID, Session: p.SessionID, Code: personal.NewSecret(r.Body.Otp),
		EndOthers: rest.Value(r.Body.EndOtherSessions),
		Devices:   devicesOf(ctx), From: middleware.ClientOf(ctx),
	})
	if err != nil {
		return nil, err
	}
	return gen.ConfirmTotp200JSONResponse{
		Success: true, Message: "추가 인증이 등록되었습니다. 복구 코드를 안전한 곳에 보관해주세요",
		Data: gen.RecoveryCodesData{RecoveryCodes: reveal(codes)},
	}, nil
}

// RemoveTotp removes the second factor.
func (h *Handlers) RemoveTotp(
	ctx context.Context, r gen.RemoveTotpRequestObject,
) (gen.RemoveTotpResponseObject, error) {
	if err := h.MFA.Remove(ctx, proof(ctx, r.Body.Password, r.Body.Otp)); err != nil {
		return nil, err
	}
	return gen.RemoveTotp200JSONResponse{Success: true, Message: "추가 인증이 해제되었습니다"}, nil
}

func reveal(secrets []personal.Secret) []string {
	out := make([]string, len(secrets))
	for i, s := range secrets {
		out[i] = s.Reveal()
	}
	return out
}

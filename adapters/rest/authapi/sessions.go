package authapi

import (
	"context"

	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth"
	"phonebill/core/id"
)

// ListSessions returns the devices on which the caller is logged in.
func (h *Handlers) ListSessions(
	ctx context.Context, _ gen.ListSessionsRequestObject,
) (gen.ListSessionsResponseObject, error) {
	p := contract.Principal(ctx)
	live, err := h.Sessions.List(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	data := gen.SessionsData{Sessions: make([]gen.Session, len(live))}
	for i, s := range live {
		data.Sessions[i] = toSession(s, p.SessionID, h.Sessions.Policy)
	}
	return gen.ListSessions200JSONResponse{Success: true, Message: "로그인된 기기를 조회하였습니다", Data: data}, nil
}

// EndSession ends one of the caller's sessions.
func (h *Handlers) EndSession(
	ctx context.Context, r gen.EndSessionRequestObject,
) (gen.EndSessionResponseObject, error) {
	if err := h.Sessions.End(ctx, contract.Principal(ctx), id.ID(r.Sid), middleware.ClientOf(ctx)); err != nil {
		return nil, err
	}
	return gen.EndSession200JSONResponse{Success: true, Message: "해당 기기에서 로그아웃되었습니다"}, nil
}

// EndOtherSessions ends all sessions of the caller but this one.
func (h *Handlers) EndOtherSessions(
	ctx context.Context, _ gen.EndOtherSessionsRequestObject,
) (gen.EndOtherSessionsResponseObject, error) {
	if _, err := h.Sessions.EndOthers(ctx, contract.Principal(ctx), middleware.ClientOf(ctx)); err != nil {
		return nil, err
	}
	return gen.EndOtherSessions200JSONResponse{Success: true, Message: "다른 모든 기기에서 로그아웃되었습니다"}, nil
}

func toSession(s auth.Session, current id.ID, policy auth.SessionPolicy) gen.Session {
	return gen.Session{
		Sid: [16]byte(s.ID), Device: auth.Device(s.Client.UserAgent), IP: auth.MaskIP(s.Client.IP), CreatedAt: s.CreatedAt,
		LastSeenAt: s.LastSeenAt, Current: s.ID == current, AutoLogin: s.AutoLogin,
		EndsAt: s.ExpiresAt, IdleEndsAt: policy.IdleEnd(s),
	}
}

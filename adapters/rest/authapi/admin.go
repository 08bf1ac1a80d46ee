package authapi

import (
	"context"
	"time"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/id"
)

func acting(ctx context.Context) admin.Caller {
	return admin.By(contract.Principal(ctx), middleware.ClientOf(ctx))
}

// ListOwnLogins returns the caller's own login history.
func (h *Handlers) ListOwnLogins(
	ctx context.Context, r gen.ListOwnLoginsRequestObject,
) (gen.ListOwnLoginsResponseObject, error) {
	at, err := rest.ParsePage(nil, nil, nil, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	events, total, err := h.History.Own(ctx, contract.Principal(ctx).UserID, at.Page, at.Size)
	if err != nil {
		return nil, err
	}
	return gen.ListOwnLogins200JSONResponse{
		Success: true, Message: "로그인 이력을 조회하였습니다", Data: toLogins(events, at, total, auth.Client.MaskedIP),
	}, nil
}

// ListUsers searches for accounts.
func (h *Handlers) ListUsers(ctx context.Context, r gen.ListUsersRequestObject) (gen.ListUsersResponseObject, error) {
	filter, at, err := toFilter(r.Params)
	if err != nil {
		return nil, err
	}
	found, total, err := h.Admin.Search(ctx, acting(ctx), filter)
	if err != nil {
		return nil, err
	}
	data := gen.AdminUsersData{
		Items: make([]gen.AdminUser, len(found)), Pagination: rest.Pagination(at.Page, at.Size, total),
	}
	for i, a := range found {
		data.Items[i] = toMasked(a, h.Now())
	}
	return gen.ListUsers200JSONResponse{Success: true, Message: "사용자 목록을 조회하였습니다", Data: data}, nil
}

// CreateUser creates an account.
func (h *Handlers) CreateUser(
	ctx context.Context, r gen.CreateUserRequestObject,
) (gen.CreateUserResponseObject, error) {
	wish, err := toNew(*r.Body)
	if err != nil {
		return nil, err
	}
	made, err := h.Admin.Create(ctx, acting(ctx), wish)
	if err != nil {
		return nil, err
	}
	return gen.CreateUser201JSONResponse{
		Success: true, Message: "사용자를 생성하였습니다", Data: toCreated(made, h.Now()),
	}, nil
}

// GetUser returns an account with its personal data masked.
func (h *Handlers) GetUser(ctx context.Context, r gen.GetUserRequestObject) (gen.GetUserResponseObject, error) {
	a, err := h.Admin.Show(ctx, acting(ctx), auth.UserID(r.UserID))
	if err != nil {
		return nil, err
	}
	return gen.GetUser200JSONResponse{Success: true, Message: "사용자를 조회하였습니다", Data: toMasked(a, h.Now())}, nil
}

// RevealUser returns an account with its personal data in clear text.
func (h *Handlers) RevealUser(
	ctx context.Context, r gen.RevealUserRequestObject,
) (gen.RevealUserResponseObject, error) {
	a, err := h.Admin.Reveal(ctx, acting(ctx), auth.UserID(r.UserID), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return gen.RevealUser200JSONResponse{Success: true, Message: "사용자를 조회하였습니다", Data: toClear(a, h.Now())}, nil
}

// UpdateUser changes status, roles or lines.
func (h *Handlers) UpdateUser(
	ctx context.Context, r gen.UpdateUserRequestObject,
) (gen.UpdateUserResponseObject, error) {
	wish, err := toUpdate(*r.Body)
	if err != nil {
		return nil, err
	}
	a, err := h.Admin.Update(ctx, acting(ctx), auth.UserID(r.UserID), wish)
	if err != nil {
		return nil, err
	}
	return gen.UpdateUser200JSONResponse{
		Success: true, Message: "사용자를 변경하였습니다", Data: toMasked(a, h.Now()),
	}, nil
}

// UnlockUser clears the wrong passwords that locked an account.
func (h *Handlers) UnlockUser(
	ctx context.Context, r gen.UnlockUserRequestObject,
) (gen.UnlockUserResponseObject, error) {
	a, err := h.Admin.Unlock(ctx, acting(ctx), auth.UserID(r.UserID), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return gen.UnlockUser200JSONResponse{
		Success: true, Message: "계정 잠금을 해제하였습니다", Data: toMasked(a, h.Now()),
	}, nil
}

// GrantPermission grants a permission, for ever or until a time.
func (h *Handlers) GrantPermission(
	ctx context.Context, r gen.GrantPermissionRequestObject,
) (gen.GrantPermissionResponseObject, error) {
	var until time.Time
	if r.Body.ExpiresAt != nil {
		until = *r.Body.ExpiresAt
	}
	a, err := h.Admin.Grant(ctx, acting(ctx), auth.UserID(r.UserID), auth.Permission(r.Permission), until, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return gen.GrantPermission200JSONResponse{
		Success: true, Message: "권한을 부여하였습니다", Data: toMasked(a, h.Now()),
	}, nil
}

// RevokePermission revokes a permission.
func (h *Handlers) RevokePermission(
	ctx context.Context, r gen.RevokePermissionRequestObject,
) (gen.RevokePermissionResponseObject, error) {
	a, err := h.Admin.Revoke(ctx, acting(ctx), auth.UserID(r.UserID), auth.Permission(r.Permission), r.Params.Reason)
	if err != nil {
		return nil, err
	}
	return gen.RevokePermission200JSONResponse{
		Success: true, Message: "권한을 회수하였습니다", Data: toMasked(a, h.Now()),
	}, nil
}

// ListUserLogins returns an account's login history.
func (h *Handlers) ListUserLogins(
	ctx context.Context, r gen.ListUserLoginsRequestObject,
) (gen.ListUserLoginsResponseObject, error) {
	at, err := rest.ParsePage(nil, nil, nil, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	events, total, err := h.Admin.LoginHistory(ctx, acting(ctx), auth.UserID(r.UserID), at.Page, at.Size)
	if err != nil {
		return nil, err
	}
	unmasked := func(c auth.Client) string { return c.IP }
	return gen.ListUserLogins200JSONResponse{
		Success: true, Message: "로그인 이력을 조회하였습니다", Data: toLogins(events, at, total, unmasked),
	}, nil
}

// EndUserSessions ends all sessions of an account.
func (h *Handlers) EndUserSessions(
	ctx context.Context, r gen.EndUserSessionsRequestObject,
) (gen.EndUserSessionsResponseObject, error) {
	ended, err := h.Admin.EndSessions(ctx, acting(ctx), auth.UserID(r.UserID), r.Params.Reason)
	if err != nil {
		return nil, err
	}
	return gen.EndUserSessions200JSONResponse{
		Success: true, Message: "모든 세션을 종료하였습니다", Data: gen.EndedSessionsData{Ended: ended},
	}, nil
}

// ListLineTransfers returns the transfers of lines that wait for a second person.
func (h *Handlers) ListLineTransfers(
	ctx context.Context, r gen.ListLineTransfersRequestObject,
) (gen.ListLineTransfersResponseObject, error) {
	at, err := rest.ParsePage(nil, nil, nil, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	waiting, total, err := h.Admin.ListTransfers(ctx, acting(ctx), at.Page, at.Size)
	if err != nil {
		return nil, err
	}
	data := gen.LineTransfersData{
		Items: make([]gen.LineTransfer, len(waiting)), Pagination: rest.Pagination(at.Page, at.Size, total),
	}
	for i, t := range waiting {
		data.Items[i] = toTransfer(t)
	}
	return gen.ListLineTransfers200JSONResponse{
		Success: true, Message: "대기 중인 회선 이전을 조회하였습니다", Data: data,
	}, nil
}

// ConfirmLineTransfer confirms a transfer as a second person.
func (h *Handlers) ConfirmLineTransfer(
	ctx context.Context, r gen.ConfirmLineTransferRequestObject,
) (gen.ConfirmLineTransferResponseObject, error) {
	t, err := h.Admin.ConfirmTransfer(ctx, acting(ctx), id.ID(r.TransferID), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return gen.ConfirmLineTransfer200JSONResponse{
		Success: true, Message: "회선 이전을 승인하였습니다", Data: toTransfer(t),
	}, nil
}

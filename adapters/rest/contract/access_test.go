package contract_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/contract"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
	"phonebill/core/id"
)

func TestThePrincipalIsInTheContextOrNone(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
	tokens := &memory.AccessTokens{}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	g := contract.AccessGuard{Guard: &access.Guard{Verifier: tokens, Revoked: revoked, Now: clock}}
	p := auth.Principal{
		UserID: "hong", SessionID: id.ID{1}, Permissions: []auth.Permission{auth.BillInquiry},
		ExpiresAt: clock().Add(time.Hour),
	}
	token, err := tokens.Issue(t.Context(), p, clock())
	require.NoError(t, err)
	ctx, err := g.Authenticate(t.Context(), token.Reveal(), string(auth.BillInquiry))
	require.NoError(t, err)
	require.Equal(t, p, contract.Principal(ctx))
	require.Zero(t, contract.Principal(t.Context()))
	for bearer, c := range map[string]struct {
		need auth.Permission
		want fault.Code
	}{
		"": {"", fault.Unauthorized}, "x": {"", fault.TokenInvalid}, token.Reveal(): {auth.UserAdmin, fault.PermissionDenied},
	} {
		ctx, err := g.Authenticate(t.Context(), bearer, string(c.need))
		require.ErrorIs(t, err, fault.New(c.want))
		require.Nil(t, ctx)
	}
}

// UFR-AUTH-020: a denial is one line that says who lacked what, and nothing personal.
func TestADenialIsLogged(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return time.Unix(1_800_000_000, 0) }
	tokens, lines := &memory.AccessTokens{}, &bytes.Buffer{}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	g := contract.AccessGuard{
		Guard: &access.Guard{Verifier: tokens, Revoked: revoked, Now: clock},
		Log:   slog.New(slog.NewJSONHandler(lines, nil)),
	}
	token, err := tokens.Issue(t.Context(), auth.Principal{UserID: "hong", ExpiresAt: clock().Add(time.Hour)}, clock())
	require.NoError(t, err)
	_, err = g.Authenticate(t.Context(), "stranger", string(auth.UserAdmin))
	require.Error(t, err)
	require.Empty(t, lines.String(), "who is not known is not denied but turned away")
	_, err = g.Authenticate(t.Context(), token.Reveal(), string(auth.UserAdmin))
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Contains(t, lines.String(), `"msg":"permission denied","user":"hong","permission":"USER_ADMIN"`)
	require.NotContains(t, lines.String(), token.Reveal())
}

package allinone_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestAKeyedInquiryOfAKnownBillIsAnsweredWhileTheDatabaseHangs blocks all writes of others, so it runs alone.
//
//nolint:paralleltest // see above
func TestAKeyedInquiryOfAKnownBillIsAnsweredWhileTheDatabaseHangs(t *testing.T) {
	needSystem(t)
	who := customer(t, "normal", 0)
	token := login(t, who)
	wish := map[string]string{"lineNumber": who.LineNumber}
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, "/bills/inquiry", token, wish).status)
	db, err := pgx.Connect(t.Context(), running.Databases["bill"])
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	stall, err := db.Begin(t.Context())
	require.NoError(t, err)
	_, err = stall.Exec(t.Context(), "LOCK TABLE inquiries, idempotency_keys")
	require.NoError(t, err)
	var ids []string
	for _, key := range []string{"stalled-1", "stalled-2"} {
		r := under(t, key, "/bills/inquiry", token, wish)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, "CACHE", r.text("source"))
		ids = append(ids, r.text("requestId"))
	}
	require.NoError(t, stall.Rollback(t.Context()))
	for _, inquiry := range ids {
		r := call(t, http.MethodGet, "/bills/inquiry/"+inquiry, token, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, "COMPLETED", r.text("status"))
	}
}

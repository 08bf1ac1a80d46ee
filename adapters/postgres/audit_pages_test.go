package postgres_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/migrations"
)

func TestTheAuditLogIsReadNewestFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Auth)
	log := postgres.NewAuditLog(db.Pool, keyring(t), id.ID{1}, slog.New(slog.DiscardHandler))
	add := func(n int, actor, action, subject string) audit.Entry {
		e := audit.Entry{
			At: noon.Add(time.Duration(n) * time.Minute), Actor: actor, Action: action, Subject: subject, Reason: "시험", Outcome: audit.Done,
			Detail: `{"n":1}`, IP: "203.0.113.9",
		}
		require.NoError(t, log.Append(t.Context(), e))
		e.Writer, e.Seq = id.ID{1}, n
		return e
	}
	one := add(1, "kim", "USER_SHOWN", "hong")
	two := add(2, "lee", "USER_UNLOCKED", "hong")
	three := add(3, "kim", "USER_UNLOCKED", "park")
	trail := postgres.NewAuditTrail(db.Pool)
	for name, c := range map[string]struct {
		f    audit.Filter
		want []audit.Entry
	}{
		"all": {audit.Filter{}, []audit.Entry{three, two, one}}, "actor": {audit.Filter{Actor: "kim"}, []audit.Entry{three, one}},
		"action":  {audit.Filter{Action: "USER_UNLOCKED"}, []audit.Entry{three, two}},
		"subject": {audit.Filter{Subject: "hong"}, []audit.Entry{two, one}},
		"since":   {audit.Filter{Since: two.At}, []audit.Entry{three, two}},
		"nothing": {audit.Filter{Actor: "kim", Subject: "x"}, []audit.Entry{}},
	} {
		c.f.Page, c.f.Size = 1, 20
		page, total, err := trail.Page(t.Context(), c.f)
		require.NoError(t, err)
		require.Equal(t, c.want, page, name)
		require.Equal(t, len(c.want), total, name)
	}
	page, total, err := trail.Page(t.Context(), audit.Filter{Page: 2, Size: 2})
	require.NoError(t, err)
	require.Equal(t, []audit.Entry{one}, page)
	require.Equal(t, 3, total)
	db.Pool.Close()
	_, _, err = trail.Page(t.Context(), audit.Filter{Page: 1, Size: 2})
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}

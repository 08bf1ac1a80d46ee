package trail_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/audit/trail"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// auditLog is an audit log that is read and written.
type auditLog struct {
	page  []audit.Entry
	asked []audit.Filter
	rows  []audit.Entry
	err   error
}

func (b *auditLog) Page(_ context.Context, f audit.Filter) ([]audit.Entry, int, error) {
	b.asked = append(b.asked, f)
	return b.page, len(b.page), nil
}

func (b *auditLog) Append(_ context.Context, e audit.Entry) error {
	b.rows = append(b.rows, e)
	return b.err
}

// TestReadingTheLogIsAudited, and without that row nothing is shown.
func TestReadingTheLogIsAudited(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	b := &auditLog{page: []audit.Entry{{Actor: "ops-kim", Action: "USER_UNLOCKED"}}}
	s := trail.Reader{Pages: b, Log: trail.Log{
		Audit: b, Now: func() time.Time { return noon }, NewID: func() id.ID { return id.ID{} },
		Report: func(context.Context, error) {},
	}}
	by, f := trail.By{Name: "cli:root", Roles: []auth.Role{auth.Admin}},
		audit.Filter{Actor: "ops-kim", Subject: "hong", Page: 1, Size: 20}
	page, total, err := s.List(t.Context(), by, f)
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, b.page, page)
	require.Equal(t, []audit.Filter{f}, b.asked)
	require.Equal(t, []audit.Entry{{
		At: noon, Actor: "cli:root", Action: "AUDIT_SHOWN", Subject: "hong", Outcome: audit.Done,
		Detail: `{"action":"","actor":"ops-kim","page":"1","size":"20"}`,
	}}, b.rows)
	_, _, err = s.List(t.Context(), trail.By{Name: "hong", Roles: []auth.Role{auth.Customer}}, f)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	b.err = errors.New("away")
	page, _, err = s.List(t.Context(), by, f)
	require.Error(t, err)
	require.Nil(t, page)
}

package stores

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/vault"
	"phonebill/core/fault"
	"phonebill/core/sealing"
	"phonebill/migrations"
)

// says is a database that says a form, or is away.
type says struct {
	form sealing.Form
	away error
}

func (s *says) Form(context.Context) (sealing.Form, error) { return s.form, s.away }
func (*says) Raise(context.Context, sealing.Form) error    { return nil }

// TestAUnitWritesWhatEachDatabaseMayHold: nothing until it has said what, and never back to the older form.
func TestAUnitWritesWhatEachDatabaseMayHold(t *testing.T) {
	t.Parallel()
	v, err := vault.OpenOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	away := errors.New("away")
	own, kos := &says{form: sealing.RowOnly}, &says{away: away}
	f := NewForms(v)
	f.Add(t.Context(), migrations.Bill, own)
	require.Equal(t, sealing.RowOnly, v.Form())
	f.Add(t.Context(), migrations.KOS, kos)
	require.Equal(t, sealing.Unknown, v.Form(), "the other database has not said anything yet")
	require.ErrorIs(t, f.check(t.Context()), away, "and the unit is not ready")
	for _, name := range []string{"kos.kos_calls.request", "cache.bill"} {
		_, err = v.Seal(sealing.At(name, "row"), []byte("clear"))
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "%s: the older form could be lost there", name)
	}
	spooled, err := v.Seal(sealing.At("spool"), []byte("clear"))
	require.NoError(t, err, "what has no form is written")
	require.False(t, sealing.Bound(spooled))
	history := sealing.At("bill.inquiries.line", "row")
	sealed, err := v.Seal(history, []byte("clear"))
	require.NoError(t, err, "the database that has said its form goes on")
	require.True(t, sealing.Bound(sealed))
	kos.form, kos.away = sealing.Column, nil
	require.NoError(t, f.check(t.Context()))
	require.Equal(t, sealing.Column, v.Form())
	call, err := v.Seal(sealing.At("kos.kos_calls.request", "row"), []byte("clear"))
	require.NoError(t, err)
	require.False(t, sealing.Bound(call), "a database that said so gets what release b0e8e26 reads")
	clear, err := v.Open(history, sealed)
	require.NoError(t, err)
	require.Equal(t, "clear", string(clear))
	own.form, kos.form = sealing.RowOnly, sealing.Row
	require.NoError(t, f.Read(t.Context()))
	require.Equal(t, sealing.Row, v.Form(), "nothing is refused before nothing of it is left anywhere")
	kos.form = sealing.RowOnly
	require.NoError(t, f.Read(t.Context()))
	require.Equal(t, sealing.RowOnly, v.Form())
	kos.away, own.form = away, sealing.Column
	require.ErrorIs(t, f.Read(t.Context()), away)
	require.Equal(t, sealing.RowOnly, v.Form(), "what is known is believed")
	sealed, err = v.Seal(sealing.At("kos.kos_calls.request", "row"), []byte("clear"))
	require.NoError(t, err)
	require.True(t, sealing.Bound(sealed))
}

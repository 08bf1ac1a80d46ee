package compose

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/vault"
	"phonebill/core/personal"
	"phonebill/core/sealing"
)

// says is a database that says a form, or is away.
type says struct {
	form sealing.Form
	away error
}

func (s *says) Form(context.Context) (sealing.Form, error) { return s.form, s.away }
func (*says) Raise(context.Context, sealing.Form) error    { return nil }

// TestAUnitWritesWhatAllItsDatabasesMayHold: the older form until every one of them has said otherwise, and never back.
func TestAUnitWritesWhatAllItsDatabasesMayHold(t *testing.T) {
	t.Parallel()
	v, err := vault.OpenOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	away := errors.New("away")
	own, kos := &says{form: sealing.Row}, &says{away: away}
	f := &forms{vault: v}
	f.add(t.Context(), own)
	require.Equal(t, sealing.Row, v.Form())
	f.add(t.Context(), kos)
	require.Equal(t, sealing.Unknown, v.Form(), "the other database has not said anything yet")
	require.ErrorIs(t, f.check(t.Context()), away, "and the unit is not ready")
	sealed, err := v.Seal(sealing.At("x", "row"), []byte("clear"))
	require.NoError(t, err)
	require.False(t, sealing.Bound(sealed), "what is written meanwhile is what every release reads")
	kos.form, kos.away = sealing.Column, nil
	require.NoError(t, f.check(t.Context()))
	require.Equal(t, sealing.Column, v.Form())
	own.form, kos.form = sealing.RowOnly, sealing.Row
	require.NoError(t, f.read(t.Context()))
	require.Equal(t, sealing.Row, v.Form(), "nothing is refused before nothing of it is left anywhere")
	kos.form = sealing.RowOnly
	require.NoError(t, f.read(t.Context()))
	require.Equal(t, sealing.RowOnly, v.Form())
	kos.away, own.form = away, sealing.Column
	require.ErrorIs(t, f.read(t.Context()), away)
	require.Equal(t, sealing.RowOnly, v.Form(), "what is known is believed")
}

func TestTheGatewaysCredentialIsItsOwn(t *testing.T) {
	t.Parallel()
	shared := personal.NewSecret("shared")
	require.NoError(t, distinct(shared, personal.Secret{}))
	require.NoError(t, distinct(shared, personal.NewSecret("own")))
	require.ErrorContains(t, distinct(shared, personal.NewSecret("shared")), "GATEWAY_AUDIT_TOKEN")
}

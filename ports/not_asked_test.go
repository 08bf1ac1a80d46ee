package ports_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/ports"
)

func TestWhyNotAsked(t *testing.T) {
	t.Parallel()
	why := ports.NotAskedError("OPEN")
	refused := fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNotAsked, why))
	require.Equal(t, "OPEN", ports.NotAskedReason(refused))
	require.Equal(t, "kos: OPEN", why.Error())
	require.Empty(t, ports.NotAskedReason(ports.ErrNotAsked))
	require.Empty(t, ports.NotAskedReason(nil))
}

func TestACallReportsThatItIsSent(t *testing.T) {
	t.Parallel()
	ports.Call{}.Sent()
	sent := 0
	ports.Call{OnSent: func() { sent++ }}.Sent()
	require.Equal(t, 1, sent)
}

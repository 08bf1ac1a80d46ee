package ports_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
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

func TestRequestOfACall(t *testing.T) {
	t.Parallel()
	require.True(t, ports.RequestOf(t.Context()).IsZero())
	inner := ports.WithRequest(ports.WithRequest(t.Context(), id.ID{1}), id.ID{2})
	require.Equal(t, id.ID{2}, ports.RequestOf(context.WithoutCancel(inner)))
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	code := func(sqlstate string) error { return &pgconn.PgError{Code: sqlstate} }
	require.NoError(t, translate("x", nil, fault.UserNotFound))
	require.ErrorIs(t, translate("x", pgx.ErrNoRows, fault.UserNotFound), fault.New(fault.UserNotFound))
	require.Equal(t, fault.InternalServerError, fault.From(translate("x", pgx.ErrNoRows)).Code(), "a row was expected")
	already := fmt.Errorf("deep down: %w", fault.New(fault.StateConflict))
	require.Equal(t, already, translate("x", already))

	for name, err := range map[string]error{
		"no connection": &pgconn.ConnectError{}, "reset": &net.OpError{Op: "read", Err: errors.New("connection reset")},
		"gone": io.EOF, "gone in the middle": fmt.Errorf("read: %w", io.ErrUnexpectedEOF), "closed": net.ErrClosed,
		"pool closed": puddle.ErrClosedPool, "deadline": context.DeadlineExceeded, "statement timeout": code("57014"),
		"lock timeout": code("55P03"), "standby": code("25006"), "idle": code("25P03"), "serialisation": code("40001"),
		"deadlock": code("40P01"), "connection": code("08006"), "too many": code("53300"), "disk full": code("53100"),
		"shutdown": code("57P01"), "crash": code("57P02"), "starting": code("57P03"),
	} {
		got := translate("read thing", err)
		require.ErrorIs(t, got, fault.New(fault.ServiceUnavailable), name)
		require.ErrorIs(t, got, err, name)
		require.ErrorContains(t, got, "read thing")
		require.Equal(t, retryAfter, fault.From(got).RetryAfter())
	}
	for name, err := range map[string]error{
		"hung up": context.Canceled, "duplicate": code("23505"), "no right": code("42501"), "bad SQL": code("42601"),
		"check": code("23514"), "odd": code(""), "database dropped": code("57P04"), "other": errors.New("other"),
	} {
		got := translate("write thing", err)
		require.Equal(t, fault.InternalServerError, fault.From(got).Code(), name)
		require.ErrorIs(t, got, err, name)
		require.ErrorContains(t, got, "postgres: write thing")
	}
}

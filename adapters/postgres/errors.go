package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"phonebill/core/fault"
)

// retryAfter is the Retry-After of a database in trouble: a failover or restart takes seconds.
const retryAfter = time.Second

// translate is the one place where database errors become the core's: no row is the code absent (when one is given), a
// database in trouble is SERVICE_UNAVAILABLE, any other error stays unclassified and is wrapped with what was being
// done. Nil and faults are returned unchanged.
func translate(doing string, err error, absent ...fault.Code) error {
	var already *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return err
	case errors.Is(err, pgx.ErrNoRows) && len(absent) > 0:
		return fault.New(absent[0])
	}
	err = fmt.Errorf("postgres: %s: %w", doing, err)
	if inTrouble(err) {
		return fault.New(fault.ServiceUnavailable).RetryIn(retryAfter).Because(err)
	}
	return err
}

// inTrouble reports whether an error may go away by itself, unlike a mistake of ours. A caller that hung up
// (context.Canceled) is neither.
func inTrouble(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return troubleCode(refused.Code)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, puddle.ErrClosedPool), errors.Is(err, ErrReadOnly):
		return true
	default:
		return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err)
	}
}

// readOnlyTransaction is the SQLSTATE of a write in a read-only session: the server is a standby ("cannot execute …
// during recovery"), or the database's sessions are read-only by setting.
const readOnlyTransaction = "25006"

// troubleCode judges by SQLSTATE class (PostgreSQL manual, appendix A).
func troubleCode(code string) bool {
	switch code {
	case "57014", // statement_timeout
		"55P03", // lock_timeout
		readOnlyTransaction,
		"25P03", // idle_in_transaction_session_timeout
		"40001", // serialisation failure
		"40P01": // deadlock
		return true
	}
	switch code[:min(2, len(code))] {
	case "08", // connection
		"53": // no connections, memory or disk left
		return true
	}
	return code == "57P01" || code == "57P02" || code == "57P03" // shutdown, crash, starting up
}
